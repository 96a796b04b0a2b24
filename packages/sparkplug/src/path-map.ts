import { shown, TailraceError } from '@tailrace/protocol/error';
import { assertDevicePath, isDevicePath } from '@tailrace/protocol/path';

export interface PathMapOptions {
  /** Device path before the group; '' for none. */
  readonly prefix: string;
  /** Segments for IDs that a path cannot contain, or that would collide: `{"Line 3": "line3"}`. */
  readonly ids?: Readonly<Record<string, string>>;
  /** Nodes and devices together. */
  readonly pathsMax?: number;
}

/** The node or device of a path. */
export interface PathOwner {
  readonly group: string;
  readonly node: string;
  /** undefined: the node itself. */
  readonly device?: string | undefined;
}

/**
 * Device paths of Sparkplug nodes and devices: `<prefix>.<group>.<node>` and `<prefix>.<group>.<node>.<device>`.
 * Characters that a path cannot contain become `_`. The first of two owners with one path keeps it until it is
 * released, so that their readings are never mixed.
 */
export class PathMap {
  readonly #prefix: string;
  readonly #ids: ReadonlyMap<string, string>;
  readonly #pathsMax: number;
  /** Paths by owner, and owners by path. */
  readonly #paths = new Map<string, string>();
  readonly #owners = new Map<string, string>();

  /** Throws `invalid_path` for a prefix that is no device path, or a segment that none can contain. */
  constructor({ prefix, ids = {}, pathsMax = 100_000 }: PathMapOptions) {
    if (prefix !== '') assertDevicePath(prefix);
    for (const [id, segment] of Object.entries(ids)) {
      if (isDevicePath(segment) && !segment.includes('.')) continue;
      throw new TailraceError(
        'invalid_path',
        `ids: expected one segment of a device path for ${shown(id)}, got ${shown(segment)}`,
      );
    }
    this.#prefix = prefix;
    this.#ids = new Map(Object.entries(ids));
    this.#pathsMax = pathsMax;
  }

  get size(): number {
    return this.#paths.size;
  }

  /**
   * Returns the path of an owner, and reserves it. Throws `invalid_path` for a path that is too long, `conflict` for
   * the path of another owner, `limit_reached` at `pathsMax`.
   */
  pathOf(owner: PathOwner): string {
    const key = keyOf(owner);
    const known = this.#paths.get(key);
    if (known !== undefined) return known;
    const path = this.nameOf(owner);
    const holder = this.#owners.get(path);
    if (holder !== undefined) {
      throw new TailraceError(
        'conflict',
        `device path ${path}: expected one Sparkplug ID, got ${shown(key)} beside ${shown(holder)}; map one of them by ids`,
      );
    }
    if (this.#paths.size >= this.#pathsMax) {
      throw new TailraceError(
        'limit_reached',
        `Sparkplug: expected at most ${this.#pathsMax} nodes and devices, got ${shown(key)} besides`,
      );
    }
    this.#paths.set(key, path);
    this.#owners.set(path, key);
    return path;
  }

  /** Releases the path of a node or device that is gone. */
  release(owner: PathOwner): void {
    const key = keyOf(owner);
    const path = this.#paths.get(key);
    if (path === undefined) return;
    this.#paths.delete(key);
    this.#owners.delete(path);
  }

  /** Returns the path of an owner, without reserving it. Throws `invalid_path` for one that is too long. */
  nameOf({ group, node, device }: PathOwner): string {
    const segments = [this.#segmentOf(group), this.#segmentOf(node)];
    if (this.#prefix !== '') segments.unshift(this.#prefix);
    if (device !== undefined) segments.push(this.#segmentOf(device));
    const path = segments.join('.');
    assertDevicePath(path);
    return path;
  }

  #segmentOf(id: string): string {
    return this.#ids.get(id) ?? id.replaceAll(/[^A-Za-z0-9_-]/gu, '_');
  }
}

/** IDs contain no slash, so that no two owners have one key. */
function keyOf({ group, node, device }: PathOwner): string {
  return device === undefined ? `${group}/${node}` : `${group}/${node}/${device}`;
}
