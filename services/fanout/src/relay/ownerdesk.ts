import type { EventLog } from '@tailrace/eventlog/eventlog';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { isPattern, patternMatches } from '@tailrace/protocol/pattern';
import { drive, reserved, type Steps } from '../catchup/steps.ts';
import type { WorkQueue, WorkScheduler } from '../catchup/work-scheduler.ts';
import { Arrival } from '../channels/arrival.ts';
import type { Device } from '../channels/device.ts';
import type { Partition } from '../ownership/partition.ts';
import { repeatRecordsMax } from '../ownership/recentids.ts';
import { presencesPerFrameMax } from './relayfeed.ts';

const { OwnerRequest, OwnerReply } = tailrace.v1;

/** Parts are cut at about this size, so that each fits a bus message. */
const partBytesMax = 256 * 1024;
const backlogRecordsMaxDefault = 50_000;
/** Devices whose last values are taken in one step. */
const devicesPerStep = 128;
/** What the last values of a device take in an answer, about. */
const deviceBytes = 256;

interface Backlog {
  /** It holds everything before. */
  readonly until: number;
  /** The first position the log still had. */
  readonly first: number;
  readonly arrivals: readonly { readonly arrival: Arrival; readonly device: string }[];
  /** Positions that the log cannot read. */
  readonly unreadable: readonly { readonly from: number; readonly until: number }[];
}

/**
 * Answers other nodes about the partitions this node owns: takes their interest down, and tells what came before the frames that
 * will carry it.
 */
export class OwnerDesk {
  readonly #partitions: readonly Partition[];
  readonly #log: Pick<EventLog, 'bounds' | 'read'>;
  readonly #topic: string;
  readonly #work: Pick<WorkScheduler, 'queue'>;
  readonly #now: () => number;
  readonly #backlogRecordsMax: number;

  constructor(parts: {
    partitions: readonly Partition[];
    log: Pick<EventLog, 'bounds' | 'read'>;
    topic: string;
    /** What nodes ask for is charged to them. */
    work: Pick<WorkScheduler, 'queue'>;
    /** Monotonic ms. */
    now: () => number;
    /** Records that one request may make this node read back. A node that is further behind asks again from where the answer ends. */
    backlogRecordsMax?: number | undefined;
  }) {
    this.#partitions = parts.partitions;
    this.#log = parts.log;
    this.#topic = parts.topic;
    this.#work = parts.work;
    this.#now = parts.now;
    this.#backlogRecordsMax = parts.backlogRecordsMax ?? backlogRecordsMaxDefault;
  }

  /** A request's bytes → the parts of the answer. Throws `unavailable` where this node does not serve the partition (any more). */
  async answer(bytes: Uint8Array): Promise<Uint8Array[]> {
    const request = askedFrom(bytes);
    const partition = this.#partitions[request.partition];
    if (partition?.role !== 'owned') {
      throw new TailraceError('unavailable', `this node does not serve partition ${request.partition}; ask its owner`);
    }
    const interests = partition.feed.interests;
    interests.release(request.node, request.released);
    interests.add(
      request.node,
      request.interests.map((interest) => interest.channel),
      this.#now(),
    );
    const held = interests.held(request.node);
    if (held !== request.held) {
      // One of us was restarted, or a lease lapsed, without the other noticing. Begin again.
      interests.drop(request.node);
      throw new TailraceError(
        'conflict',
        `${request.node} has ${held} channels here, not ${request.held}; ask for all of them`,
      );
    }
    // From here to the end of the turn is one moment: nothing is pending in the feed, so that frames begin exactly at `next`.
    const next = partition.next;
    const generation = partition.generation;
    const sentMs = this.#now();
    const head = { generation, next, told: partition.feed.told, chain: interests.chain };
    const parts = [OwnerReply.encode({ ...head, sentMs, behindMs: sentMs - partition.progress.throughMs }).finish()];
    const queue = this.#work.queue(request.node, 'node');
    try {
      await drive(queue, knownParts(queue, partition, request.interests, { generation, next }, parts));
    } finally {
      queue.close();
    }
    const behind = request.interests.filter((interest) => interest.from !== undefined && interest.from < next);
    if (behind.length > 0) {
      const backlog = await this.#backlog(partition, Math.min(...behind.map((interest) => interest.from!)), next);
      for (const { channel, from } of behind) {
        const wanted = backlog.arrivals.filter(
          ({ arrival, device }) => arrival.seq >= from! && patternMatches(channel, device),
        );
        const missing = from! < backlog.first ? { missingUntil: backlog.first } : {};
        const known = [...partition.lastValues({ pattern: channel })]
          .filter(({ seq }) => seq >= from! && seq < backlog.first)
          .sort((a, b) => a.seq - b.seq);
        const unreadable = backlog.unreadable.filter((range) => range.until > from!);
        parts.push(OwnerReply.encode({ generation, next: backlog.until, channel, ...missing, unreadable }).finish());
        for (const updates of cut([...known, ...wanted.map(({ arrival }) => arrival)])) {
          parts.push(OwnerReply.encode({ generation, next: backlog.until, channel, updates }).finish());
        }
      }
    }
    return parts;
  }

  /** What was delivered of a partition in [from, next), as much as one request may have, read once for all the channels of a request. */
  async #backlog(partition: Partition, from: number, next: number): Promise<Backlog> {
    const bounds = await this.#log.bounds(this.#topic, [partition.number]);
    const first = Math.max(from, bounds[partition.number]?.first ?? from);
    const until = Math.min(next, first + this.#backlogRecordsMax);
    const arrivals: { arrival: Arrival; device: string }[] = [];
    const unreadable: { from: number; until: number }[] = [];
    const delivered = partition.replay();
    const lookFrom = partition.knowsIdsFrom(first) ? first : Math.max(0, first - repeatRecordsMax);
    for await (const records of this.#log.read(this.#topic, partition.number, { from: lookFrom, until })) {
      for (const record of records) {
        if (record.unreadable !== undefined) {
          const range = { from: Math.max(record.seq, first), until: record.unreadable.until };
          if (range.from < range.until) unreadable.push(range);
          continue;
        }
        const arrival = new Arrival(partition.number, record.seq, record.value);
        if (delivered(arrival, record.key) && record.seq >= first) arrivals.push({ arrival, device: record.key });
      }
    }
    return { first, until, arrivals, unreadable };
  }
}

interface Asked {
  readonly node: string;
  readonly partition: number;
  readonly interests: readonly { readonly channel: string; readonly from?: number }[];
  readonly released: readonly string[];
  readonly held: number;
}

function askedFrom(bytes: Uint8Array): Asked {
  let request: tailrace.v1.OwnerRequest;
  try {
    request = OwnerRequest.decode(bytes);
  } catch (cause) {
    throw new TailraceError('invalid_message', `${bytes.length} bytes that are no OwnerRequest`, { cause });
  }
  const interests = request.interests.map(({ channel, from }) => {
    if (!isPattern(channel))
      throw new TailraceError('invalid_pattern', `interest in ${shown(channel)}, which is no pattern`);
    return from === undefined || from === null ? { channel } : { channel, from };
  });
  const { node, partition, released, held } = request;
  return { node, partition, interests, released, held };
}

/**
 * What is known of the channels: silent devices, and last values of those that the node has never had. In steps: what
 * is later than the moment of the answer, the frames have, too, and they are sent before it.
 */
function* knownParts(
  queue: WorkQueue,
  partition: Partition,
  interests: Asked['interests'],
  head: { readonly generation: number; readonly next: number },
  parts: Uint8Array[],
): Steps {
  for (const { channel } of interests) {
    for (const presences of silences(partition, channel)) {
      parts.push(OwnerReply.encode({ ...head, channel, presences }).finish());
      yield undefined;
    }
  }
  const fresh = interests.filter(({ from }) => from === undefined);
  const devices = fresh.reduce((sum, { channel }) => sum + partition.index.count(channel), 0);
  const memory = yield* reserved(queue, devices * deviceBytes);
  try {
    for (const { channel } of fresh) yield* lastValueParts(partition, channel, head, parts);
  } finally {
    memory.release();
  }
}

function* lastValueParts(
  partition: Partition,
  channel: string,
  head: { readonly generation: number; readonly next: number },
  parts: Uint8Array[],
): Steps {
  let updates: { seq: number; report: Uint8Array }[] = [];
  let bytes = 0;
  let devices: readonly Device[] = [];
  do {
    devices = partition.index.page(channel, devices.at(-1)?.path ?? '', devicesPerStep);
    for (const { seq, bytes: report } of devices.flatMap((device) => device.lastValues())) {
      updates.push({ seq, report });
      bytes += report.length;
      if (bytes < partBytesMax) continue;
      parts.push(OwnerReply.encode({ ...head, channel, updates }).finish());
      updates = [];
      bytes = 0;
    }
    yield undefined;
  } while (devices.length === devicesPerStep);
  if (updates.length > 0) parts.push(OwnerReply.encode({ ...head, channel, updates }).finish());
}

/** Devices of a channel that do not speak, in lists that each fit a part. */
function* silences(partition: Partition, channel: string): Iterable<tailrace.v1.IPresence[]> {
  let presences: tailrace.v1.IPresence[] = [];
  for (const [device, { state, sinceMs, seq }] of partition.silences(channel)) {
    presences.push({ device: device.path, state, since: sinceMs, seq });
    if (presences.length < presencesPerFrameMax) continue;
    yield presences;
    presences = [];
  }
  if (presences.length > 0) yield presences;
}

/** Arrivals as lists of updates that each fit a part. */
function* cut(arrivals: Iterable<Arrival>): Iterable<{ seq: number; report: Uint8Array }[]> {
  let updates: { seq: number; report: Uint8Array }[] = [];
  let bytes = 0;
  for (const arrival of arrivals) {
    updates.push({ seq: arrival.seq, report: arrival.bytes });
    bytes += arrival.bytes.length;
    if (bytes < partBytesMax) continue;
    yield updates;
    updates = [];
    bytes = 0;
  }
  if (updates.length > 0) yield updates;
}
