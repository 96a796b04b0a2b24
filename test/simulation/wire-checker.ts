import { patternMatches } from '@tailrace/protocol/pattern';
import type { MissingRange } from '../delivery-checker.ts';
import type { Publication } from './checker.ts';
import type { Violations } from './violation.ts';

interface WireReport {
  readonly device: string;
  readonly partition: number;
  readonly seq: number;
  readonly readings: readonly { readonly value: unknown }[];
}

interface WireSkipped {
  readonly partition: number;
  readonly device: string;
  readonly from: number;
  readonly to: number;
}

/** The fields of a server message that the checker reads. */
export interface WireMessage {
  readonly data?: {
    readonly view: number;
    readonly reports: readonly WireReport[];
    readonly snapshot?: boolean;
    readonly snapshotComplete?: boolean;
    readonly replay?: boolean;
    readonly skipped?: readonly WireSkipped[];
  };
  readonly subscribed?: {
    readonly id: string;
    readonly view: number;
    readonly position: string;
    readonly recovered?: boolean;
  };
  readonly paused?: { readonly id: string };
  readonly welcome?: { readonly session: string; readonly node: string };
  readonly error?: { readonly code: string; readonly message: string };
}

export function publicationFrom({ device, partition, seq, readings }: WireReport): Publication {
  return { device, partition, seq, value: Number(readings[0]?.value) };
}

export function missingFrom(skipped: readonly WireSkipped[]): MissingRange<string>[] {
  return skipped.map(({ partition, device, from, to }) => ({
    partition,
    from,
    to,
    ...(device === '' || device === undefined ? {} : { device }),
  }));
}

/** Checks I2, I3, I4 and I6 on the wire, below the client library, which could hide violations. */
export class WireChecker {
  readonly #violations: Violations;
  /** By start of a node and view: the live frames of each client, a list for each time that it joined the topic. */
  readonly #views = new Map<string, Run[]>();

  constructor(violations: Violations) {
    this.#violations = violations;
  }

  /** Returns the checker of a client's connection to a start of a node. */
  connection(client: string, node: string, rights: readonly string[]): WireConnection {
    return new WireConnection(client, node, rights, this.#violations, this.#views);
  }

  /**
   * Checks I4. Published frames of a view go to all its clients alike: from the first frame that two of them have in
   * common they have the same ones, until one of them has no more. Where they differ, one was behind, and caught up by
   * frames of its own: until the next published frame in common both must have received the same reports. A frame of
   * its own may equal a published one, but is none: other partitions may be further behind.
   */
  end(): void {
    for (const [view, runs] of this.#views) {
      for (const [i, one] of runs.entries()) {
        const indexes = new Map<string, number>();
        for (const [index, { text, isPublished }] of one.frames.entries()) if (isPublished) indexes.set(text, index);
        for (const other of runs.slice(i + 1)) this.#compare(view, one, indexes, other);
      }
    }
  }

  #compare(view: string, one: Run, indexes: ReadonlyMap<string, number>, other: Run): void {
    let [here, there] = common(indexes, other, -1, 0);
    while (there >= 0) {
      do {
        here++;
        there++;
        if (here >= one.frames.length || there >= other.frames.length) return;
      } while (isSame(one.frames[here]!, other.frames[there]!));
      const [hereNext, thereNext] = common(indexes, other, here - 1, there);
      if (thereNext < 0) return;
      const mine = reportsOf(one.frames.slice(here, hereNext));
      const others = reportsOf(other.frames.slice(there, thereNext));
      if (mine !== others) {
        this.#violations.add(
          'I4 agreement',
          `of view ${view} ${one.client} was sent ${mine.slice(0, 300)} where ${other.client} was sent ${others.slice(0, 300)}`,
        );
        return;
      }
      [here, there] = [hereNext, thereNext];
    }
  }
}

/** Returns whether it is one frame that was published to both. */
function isSame(one: Frame, other: Frame): boolean {
  return one.isPublished && other.isPublished && one.text === other.text;
}

/**
 * Returns the indexes of the next published frame that both have, after `after` here and from `from` in `other`; -1
 * where there is none.
 */
function common(
  indexes: ReadonlyMap<string, number>,
  other: Run,
  after: number,
  from: number,
): [here: number, there: number] {
  for (let there = from; there < other.frames.length; there++) {
    const { text, isPublished } = other.frames[there]!;
    const here = isPublished ? indexes.get(text) : undefined;
    if (here !== undefined && here > after) return [here, there];
  }
  return [-1, -1];
}

/** Returns the reports in frames, sorted. */
function reportsOf(frames: readonly Frame[]): string {
  const reports = frames.flatMap(({ text }) => (JSON.parse(text) as WireMessage).data?.reports ?? []);
  const names = reports.map(({ device, seq }) => `${device}:${seq}`);
  return names.sort().join(' ');
}

interface Frame {
  readonly text: string;
  /** Whether it went to all clients of the view; otherwise to this one alone. */
  readonly isPublished: boolean;
}

interface Run {
  readonly client: string;
  readonly frames: Frame[];
}

interface WireView {
  /** The last position of each device on this view. */
  readonly lasts: Map<string, number>;
  run: Run | undefined;
}

export class WireConnection {
  readonly #client: string;
  readonly #node: string;
  readonly #rights: readonly string[];
  readonly #violations: Violations;
  readonly #runs: Map<string, Run[]>;
  readonly #views = new Map<number, WireView>();
  /** By subscription ID. */
  readonly #viewById = new Map<string, WireView>();

  constructor(
    client: string,
    node: string,
    rights: readonly string[],
    violations: Violations,
    runs: Map<string, Run[]>,
  ) {
    this.#client = client;
    this.#node = node;
    this.#rights = rights;
    this.#violations = violations;
    this.#runs = runs;
  }

  /** Checks one frame. `isPublished`: as in `Frame`. */
  take(text: string, message: WireMessage, isPublished: boolean): void {
    if (message.subscribed !== undefined) {
      const { id, view: number } = message.subscribed;
      const started: WireView = { lasts: new Map(), run: undefined };
      this.#views.set(number, started);
      this.#viewById.set(id, started);
      return;
    }
    const { data, error, paused } = message;
    // A paused subscription is off the topic until it has caught up.
    const stopped = paused === undefined ? undefined : this.#viewById.get(paused.id);
    if (stopped !== undefined) stopped.run = undefined;
    // The log is never re-created here, so that each position of a client is valid.
    if (error?.code === 'invalid_position')
      this.#violations.add('I3 completeness', `${this.#client} was refused its position: ${error.message}`);
    const view = data === undefined ? undefined : this.#views.get(data.view);
    if (data === undefined || view === undefined) return;
    for (const report of data.reports) this.#check(view, report);
    if (data.snapshot === true) return;
    // Sent to one client alone; after it the common frames continue.
    if (data.replay === true || data.skipped !== undefined) view.run = undefined;
    else this.#runOf(view, data.view).frames.push({ text, isPublished });
  }

  #runOf(view: WireView, number: number): Run {
    if (view.run === undefined) {
      view.run = { client: this.#client, frames: [] };
      const key = `${this.#node}/${number}`;
      const runs = this.#runs.get(key) ?? [];
      runs.push(view.run);
      this.#runs.set(key, runs);
    }
    return view.run;
  }

  #check(view: WireView, { device, partition, seq }: WireReport): void {
    if (!this.#rights.some((pattern) => patternMatches(pattern, device))) {
      this.#violations.add('I6 isolation', `${this.#client}, which may see ${this.#rights}, was sent ${device}`);
    }
    const last = view.lasts.get(device) ?? -1;
    if (seq <= last) {
      this.#violations.add(
        'I2 order',
        `${this.#client} was sent ${device} at ${partition}:${seq} after ${last} by ${this.#node}`,
      );
    }
    view.lasts.set(device, Math.max(last, seq));
  }
}
