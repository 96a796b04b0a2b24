import { shown, TailraceError } from '@tailrace/protocol/error';
import { pathLimits } from '@tailrace/protocol/path';
import { reportLimits } from '@tailrace/protocol/report-limits';
import { portableNode, resolvedNode } from './node-id.ts';
import {
  type BrowseReference,
  type BrowseReply,
  type OpcuaChannel,
  type OpcuaDataValue,
  OpcuaError,
  opcuaStatus,
} from './opcua-port.ts';
import { isTooLarge } from './server-profile.ts';
import { unitFrom } from './unit.ts';
import { valueFrom } from './value.ts';

export interface BrowseOptions {
  /** Where to start. Default: the folder Objects. */
  readonly root: string;
  /** Levels below the root. */
  readonly depthMax: number;
  /** Nodes that are visited at most. */
  readonly nodesMax: number;
  /** First segment of the devices' paths. */
  readonly prefix: string;
}

/** A variable as a tag of the sources file. */
export interface BrowsedTag {
  readonly device: string;
  readonly tag: string;
  readonly node: string;
  readonly unit?: string;
}

export interface Browsed {
  readonly tags: readonly BrowsedTag[];
  /** Those of `tags` that the user may write. */
  readonly writable: readonly BrowsedTag[];
  readonly nodes: number;
  /** Variables that are no tags, by the reason. */
  readonly leftOut: ReadonlyMap<string, number>;
  /** Whether there are more nodes than `nodesMax`, or deeper ones. */
  readonly isPartial: boolean;
}

export const objectsFolder = 'i=85';
/** Server, with its own diagnostics; Types; Views. */
const excluded: ReadonlySet<string> = new Set(['ns=0;i=2253', 'ns=0;i=86', 'ns=0;i=87']);
const nodesPerBrowseNode = 'i=11710';
const nodesPerReadNode = 'i=11705';
const namespaceArrayNode = 'i=2255';
const chunkMax = 100;
const referencesMax = 1_000;
const objectClass = 1;
const variableClass = 2;
const dataValueAttribute = 13;
const accessLevelAttribute = 18;
const readableBit = 1;
const writableBit = 2;
const browseNameOfUnits = 'EngineeringUnits';

interface Visited {
  readonly node: string;
  readonly path: readonly string[];
  /** Its property with the unit. */
  unitNode?: string;
}

/**
 * Walks the address space from the root over hierarchical references, and lists the readable variables of scalar types,
 * children of variables too, each node once. Properties are no tags. Throws `not_found` for a root in a namespace that
 * the server does not have.
 */
export async function browseTags(channel: OpcuaChannel, options: BrowseOptions): Promise<Browsed> {
  const server = await readServer(channel);
  const root = resolvedNode(options.root, server.namespaces);
  if (root === undefined) {
    const known = server.namespaces.join(', ');
    throw new TailraceError('not_found', `root: expected a node in one of ${known}, got ${shown(options.root)}`);
  }
  const seen = new Set<string>([root, ...excluded]);
  const variables: Visited[] = [];
  let level: Visited[] = [{ node: root, path: [] }];
  let isPartial = false;
  let chunk = server.browseMax;
  for (let depth = 0; depth < options.depthMax && level.length > 0; depth++) {
    const next: Visited[] = [];
    for (let at = 0; at < level.length; ) {
      const parents = level.slice(at, at + chunk);
      let lists: readonly (readonly BrowseReference[])[];
      try {
        lists = await referencesOf(channel, parents);
      } catch (error) {
        // Also of a server with few places for what it has not yet sent.
        const isLess = isTooLarge(opcuaStatus(error)) || opcuaStatus(error) === 'BadNoContinuationPoints';
        if (!isLess || chunk === 1) throw error;
        chunk = opcuaStatus(error) === 'BadNoContinuationPoints' ? 1 : chunk >> 1;
        continue;
      }
      at += parents.length;
      for (const [index, references] of lists.entries()) {
        const parent = parents[index]!;
        for (const { node, browseName, displayName, nodeClass, isProperty } of references) {
          if (isProperty && browseName === browseNameOfUnits) parent.unitNode = node;
          const isFollowed = !isProperty && (nodeClass === objectClass || nodeClass === variableClass);
          if (!isFollowed || seen.has(node)) continue;
          if (seen.size >= options.nodesMax) {
            isPartial = true;
            continue;
          }
          seen.add(node);
          const visited: Visited = { node, path: [...parent.path, browseName || displayName] };
          next.push(visited);
          if (nodeClass === variableClass) variables.push(visited);
        }
      }
    }
    level = next;
  }
  isPartial ||= level.length > 0;
  const listed = await listTags(channel, variables, server, options.prefix);
  return { ...listed, nodes: seen.size - excluded.size, isPartial };
}

interface ServerFacts {
  readonly browseMax: number;
  readonly readMax: number;
  readonly namespaces: readonly string[];
}

async function readServer(channel: OpcuaChannel): Promise<ServerFacts> {
  const values = await channel.read([
    { node: nodesPerBrowseNode },
    { node: nodesPerReadNode },
    { node: namespaceArrayNode },
  ]);
  const [browse, read, namespaces] = values.map((each) => each.value?.value);
  return {
    browseMax: Math.min(chunkMax, positive(browse)),
    readMax: Math.min(chunkMax, positive(read)),
    namespaces: Array.isArray(namespaces) ? namespaces.map(String) : [],
  };
}

function positive(value: unknown): number {
  return typeof value === 'number' && value > 0 ? value : Number.POSITIVE_INFINITY;
}

/** Resolves with the references of each node. What a server does not send at once is fetched. */
async function referencesOf(channel: OpcuaChannel, nodes: readonly Visited[]): Promise<BrowseReference[][]> {
  const replies = await channel.browse(
    nodes.map(({ node }) => node),
    referencesMax,
  );
  const all = nodes.map((_, index) => [...(replies[index]?.references ?? [])]);
  // Before the points are used: with too few of them the rest of the call is without.
  const isRefused = replies.some(({ status }) => status === 'BadNoContinuationPoints');
  const open = replies
    .map((reply, index) => ({ reply, index }))
    .filter(({ reply }) => reply.continuation !== undefined);
  if (isRefused && nodes.length > 1) {
    if (open.length > 0)
      await release(
        channel,
        open.map(({ reply }) => reply),
      );
    throw new OpcuaError('BadNoContinuationPoints', 'the server has no place for more continuation points');
  }
  for (const { reply, index } of open) {
    let { continuation } = reply;
    while (continuation !== undefined) {
      const [more]: readonly BrowseReply[] = await channel.browseNext([continuation], false);
      all[index]!.push(...(more?.references ?? []));
      continuation = more?.continuation;
    }
  }
  return all;
}

async function release(channel: OpcuaChannel, replies: readonly BrowseReply[]): Promise<void> {
  await channel.browseNext(
    replies.map(({ continuation }) => continuation!),
    true,
  );
}

async function listTags(
  channel: OpcuaChannel,
  variables: readonly Visited[],
  { readMax, namespaces }: ServerFacts,
  prefix: string,
): Promise<Pick<Browsed, 'tags' | 'writable' | 'leftOut'>> {
  const tags: BrowsedTag[] = [];
  const writable: BrowsedTag[] = [];
  const leftOut = new Map<string, number>();
  const names = new Set<string>();
  const count = (reason: string) => leftOut.set(reason, (leftOut.get(reason) ?? 0) + 1);
  // Three attributes each: the limit counts attributes.
  let size = Math.max(1, Math.floor(readMax / 3));
  for (let at = 0; at < variables.length; ) {
    const chunk = variables.slice(at, at + size);
    let read: readonly OpcuaDataValue[];
    try {
      read = await channel.read(
        chunk.flatMap(({ node, unitNode }) => [
          { node, attribute: dataValueAttribute },
          { node, attribute: accessLevelAttribute },
          { node: unitNode ?? node, attribute: dataValueAttribute },
        ]),
      );
    } catch (error) {
      if (!isTooLarge(opcuaStatus(error))) throw error;
      if (size === 1) {
        at++;
        count('too large for one message');
      }
      size = Math.max(1, size >> 1);
      continue;
    }
    at += chunk.length;
    for (const [index, { node, path, unitNode }] of chunk.entries()) {
      const [value, access, units] = read.slice(3 * index, 3 * index + 3);
      const level = Number(access?.value?.value ?? readableBit);
      const reason = (level & readableBit) === 0 ? 'not readable' : unfit(value?.value);
      if (reason !== undefined) {
        count(reason);
        continue;
      }
      const unit = unitNode === undefined ? undefined : unitFrom(units?.value?.value);
      const place = placeOf(path, prefix, names);
      const tag = { ...place, node: portableNode(node, namespaces), ...(unit !== undefined && { unit }) };
      tags.push(tag);
      if ((level & writableBit) !== 0) writable.push(tag);
    }
  }
  return { tags, writable, leftOut };
}

function unfit(value: Parameters<typeof valueFrom>[0]): string | undefined {
  if (value != null && value.arrayType !== 0) return 'an array: add its element with "index"';
  const { reason } = valueFrom(value, {}, { inexact: 0 });
  return reason === 'unsupported_type' ? 'a structure: add its members' : undefined;
}

/** Returns device and tag of a browse path. A path that is too long for a device loses its first segments. */
function placeOf(path: readonly string[], prefix: string, names: Set<string>): Pick<BrowsedTag, 'device' | 'tag'> {
  const segments = path.slice(0, -1).map(segmentFrom);
  let device = [prefix, ...segments].join('.');
  const { segmentsMax, bytesMax } = pathLimits;
  while (segments.length > 0 && (device.length > bytesMax || device.split('.').length > segmentsMax)) {
    segments.shift();
    device = [prefix, ...segments].join('.');
  }
  const name = (path.at(-1) ?? '').replace(/\p{Cc}/gu, '-').slice(0, reportLimits.tagCharactersMax - 6) || 'value';
  let tag = name;
  for (let number = 2; names.has(`${device} ${tag}`); number++) tag = `${name}-${number}`;
  names.add(`${device} ${tag}`);
  return { device, tag };
}

function segmentFrom(name: string): string {
  return name.replace(/[^A-Za-z0-9_-]+/g, '-').slice(0, pathLimits.segmentBytesMax) || '-';
}
