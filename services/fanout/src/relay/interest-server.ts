import { shown, TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { isPattern, patternMatches } from '@tailrace/protocol/pattern';
import { readRange, windowHas } from '../catch-up/backlog.ts';
import { awaited, type Coroutine, reserved, runCoroutine } from '../catch-up/coroutine.ts';
import {
  type BacklogReport,
  heldBytesOf,
  IdReservation,
  type LogRangeContext,
  toLogReport,
} from '../catch-up/log-range.ts';
import type { Reservation } from '../catch-up/memory-budget.ts';
import type { WorkQueue, WorkScheduler } from '../catch-up/work-scheduler.ts';
import type { Device } from '../channels/device.ts';
import type { LogReport } from '../channels/log-report.ts';
import { type DeviceListRequest, deviceListOf, deviceListRequestFrom } from '../devices/device-list-message.ts';
import { devicePageWithin } from '../devices/device-page.ts';
import type { Events } from '../events/events.ts';
import type { Partition } from '../ownership/partition.ts';
import { online } from '../presence/presences.ts';
import { presencesPerFrameMax } from './relay-feed.ts';

const { OwnerRequest, OwnerReply } = tailrace.v1;

/** Replies are split into parts of about this size, so that each fits a bus message. */
const partBytesMax = 256 * 1024;
/** Devices whose last values are taken in one step. */
const devicesPerStep = 128;
/** Backlog of one reply. A node that is further behind continues with another request. */
const backlogBytesMax = 4 * 1_048_576;
/** Share of the deadline after which the owner defers the remaining channels. */
const deferAfterShare = 1 / 2;
/** About five bytes each, so that the reply fits a bus message. */
const repeatsPerReplyMax = 50_000;

interface InterestBacklog {
  /** It is complete up to this position, exclusive. */
  readonly until: number;
  /** The first position that the log has. */
  readonly first: number;
  readonly logReports: readonly LogReport[];
  /** Positions that the log cannot read. */
  readonly unreadable: readonly PositionRange[];
}

/**
 * Serves the requests of other nodes for the partitions that this node owns: registers their interest, and replies with
 * the last values or the backlog before the frames.
 *
 * **Time.** A node waits `deadlineMs` for the reply, then repeats the request. An overloaded owner must not work on
 * replies that are discarded, because that delays all others. So work stops at the deadline, and when the same node
 * sends another request for the same partition. And each reply makes progress: after half of the deadline, once one
 * channel is complete, the remaining channels are `deferred`.
 *
 * **Memory.** A reply starts with memory for one part, and reserves more with each part. If there is no more, and one
 * channel is complete, the remaining channels are `deferred`. The first channel is sent whole: if it does not fit, it
 * is read again with twice the memory. The same holds for a backlog without memory for the message IDs that detect
 * duplicates; after a complete channel it is deferred.
 */
export class InterestServer {
  /** Records that are read for one request, at most. A node that is further behind continues with another request. */
  static readonly backlogRecordsMax: number = 50_000;
  readonly #partitions: readonly Partition[];
  readonly #ranges: LogRangeContext;
  readonly #work: Pick<WorkScheduler, 'queue'>;
  readonly #events: Pick<Events, 'reply'>;
  readonly #now: () => number;
  /** The last request of each node for each partition, until its reply. */
  readonly #pending = new Map<string, PendingRequest>();

  constructor(options: {
    partitions: readonly Partition[];
    ranges: LogRangeContext;
    /** Work is charged to the node that requests it. */
    work: Pick<WorkScheduler, 'queue'>;
    events: Pick<Events, 'reply'>;
    /** Monotonic ms. */
    now: () => number;
  }) {
    this.#partitions = options.partitions;
    this.#ranges = options.ranges;
    this.#work = options.work;
    this.#events = options.events;
    this.#now = options.now;
  }

  /**
   * Returns the parts of the reply to an encoded request. Throws `unavailable` if this node does not own the partition.
   */
  async reply(bytes: Uint8Array): Promise<Uint8Array[]> {
    const request = checkedRequestFrom(bytes);
    if (request.events !== undefined) return this.#events.reply(request.partition, request.events);
    if (request.devices !== undefined) return [await this.#deviceList(request, request.devices)];
    const partition = this.#partitions[request.partition];
    if (partition?.role !== 'owned') {
      throw new TailraceError(
        'unavailable',
        `expected a partition that this node owns, got ${request.partition}: send the request to its owner`,
      );
    }
    if (request.repeats !== undefined) return [repeatsIn(partition, request.repeats)];
    const interests = partition.feed.interests;
    interests.release(request.node, request.released);
    const channels = request.interests.map((interest) => interest.channel);
    partition.feed.addInterest(request.node, channels, this.#now(), partition.next);
    const held = interests.held(request.node);
    if (held !== request.held) {
      // A node was restarted, or a lease expired, unnoticed by the other. Start again without interest.
      interests.drop(request.node);
      throw new TailraceError(
        'conflict',
        `${request.node}: expected ${held} registered channels, got ${request.held}; request all of them`,
      );
    }
    // Up to the end of this turn of the event loop nothing is pending in the feed, so that frames start exactly at
    // `next`.
    const next = partition.next;
    const generation = partition.generation;
    const sentMs = this.#now();
    const head = { generation, next, told: partition.feed.presencesSent, chain: interests.streamEpoch };
    const parts = [OwnerReply.encode({ ...head, sentMs, behindMs: sentMs - partition.progress.throughMs }).finish()];
    const pending = this.#add(request, { generation, next }, sentMs);
    try {
      await runCoroutine(pending.queue, this.#reply(partition, pending, parts), () => this.#isCurrent(pending));
      return parts;
    } finally {
      pending.queue.close();
      if (this.#pending.get(pending.key) === pending) this.#pending.delete(pending.key);
    }
  }

  #add(request: CheckedRequest, head: PendingRequest['head'], nowMs: number): PendingRequest {
    const { node, partition, interests, deadlineMs } = request;
    const pending: PendingRequest = {
      key: `${partition} ${node}`,
      interests,
      head,
      queue: this.#work.queue(node, 'node'),
      deferAtMs: nowMs + deadlineMs * deferAfterShare,
      endMs: nowMs + deadlineMs,
    };
    this.#pending.set(pending.key, pending);
    return pending;
  }

  #isCurrent(pending: PendingRequest): boolean {
    return this.#pending.get(pending.key) === pending && this.#now() < pending.endMs;
  }

  /** Adds the last values of new channels, then the backlog of others, as far as time and memory allow. */
  *#reply(partition: Partition, pending: PendingRequest, parts: Uint8Array[]): Coroutine {
    const { interests, head, queue } = pending;
    const fresh = interests.filter(({ from }) => from === undefined);
    const caughtUp = interests.filter(({ from }) => from !== undefined && from >= head.next);
    const behind = interests.filter(isBehind(head.next));
    yield* addPresences(partition, [...caughtUp, ...behind], head, parts);
    const deferred: { readonly channel: string }[] = [];
    if (fresh.length + behind.length > 0) {
      const memory = new ReplyMemory(yield* reserved(queue, partBytesMax));
      try {
        const complete = yield* this.#addLastValues(partition, fresh, pending, memory, parts);
        deferred.push(...fresh.slice(complete));
        const isExhausted = complete > 0 && (complete < fresh.length || this.#isLate(pending));
        if (isExhausted) deferred.push(...behind);
        else if (behind.length > 0) {
          let backlog = yield* this.#backlog(partition, behind, pending, memory);
          while (backlog === undefined && complete === 0) {
            yield* memory.double(queue);
            backlog = yield* this.#backlog(partition, behind, pending, memory);
          }
          if (backlog === undefined) deferred.push(...behind);
          else parts.push(...(yield* this.#encode(partition, behind, backlog)));
        }
      } finally {
        memory.release();
      }
    }
    for (const { channel } of deferred) parts.push(OwnerReply.encode({ ...head, channel, deferred: true }).finish());
  }

  #isLate({ deferAtMs }: PendingRequest): boolean {
    return this.#now() >= deferAtMs;
  }

  /**
   * Adds the last values of new channels, in steps: reports after the start of the reply are also in frames, which are
   * sent before it. Returns the number of channels for which there was time and memory.
   */
  *#addLastValues(
    partition: Partition,
    fresh: CheckedRequest['interests'],
    pending: PendingRequest,
    memory: ReplyMemory,
    parts: Uint8Array[],
  ): Coroutine<number> {
    const { head, queue } = pending;
    let complete = 0;
    let visited = 0;
    while (complete < fresh.length && (complete === 0 || !this.#isLate(pending))) {
      const interest = fresh[complete]!;
      const before = parts.length;
      yield* addPresences(partition, [interest], head, parts);
      const devices = yield* addLastValuesOf(partition, interest.channel, head, memory, parts);
      if (devices === undefined) {
        parts.length = before;
        if (complete > 0) break;
        yield* memory.double(queue);
        continue;
      }
      complete++;
      visited += devices;
      if (visited < devicesPerStep) continue;
      visited = 0;
      yield undefined;
    }
    return complete;
  }

  /** Lists devices of those partitions that this node owns. The reply names the partitions. */
  async #deviceList(
    { node, deadlineMs }: CheckedRequest,
    { partitions, query }: DeviceListRequest,
  ): Promise<Uint8Array> {
    const endMs = this.#now() + deadlineMs;
    const served = partitions.flatMap((number) => {
      const partition = this.#partitions[number];
      return partition?.role === 'owned' ? [partition] : [];
    });
    const queue = this.#work.queue(node, 'node');
    try {
      const page = await runCoroutine(queue, devicePageWithin(queue, served, query), () => this.#now() < endMs);
      return OwnerReply.encode({ devices: deviceListOf(served, page) }).finish();
    } finally {
      queue.close();
    }
  }

  *#encode(partition: Partition, behind: readonly Behind[], backlog: InterestBacklog): Coroutine<Uint8Array[]> {
    const { generation } = partition;
    const parts: Uint8Array[] = [];
    for (const { channel, from } of behind) {
      const wanted = backlog.logReports.filter(
        ({ seq, header }) => seq >= from && patternMatches(channel, header.device),
      );
      const missing = from < backlog.first ? { missingUntil: backlog.first } : {};
      const known = [...partition.lastValues({ pattern: channel })]
        .filter(({ seq }) => seq >= from && seq < backlog.first)
        .sort((a, b) => a.seq - b.seq);
      const unreadable = backlog.unreadable.filter((range) => range.until > from);
      parts.push(OwnerReply.encode({ generation, next: backlog.until, channel, ...missing, unreadable }).finish());
      for (const updates of chunks([...known, ...wanted])) {
        parts.push(OwnerReply.encode({ generation, next: backlog.until, channel, updates }).finish());
        yield undefined;
      }
    }
    return parts;
  }

  /**
   * Reads the backlog of a partition up to `next`, within the limits of one request, once for all of its channels.
   * Returns undefined if there is no memory for the message IDs before it.
   */
  *#backlog(
    partition: Partition,
    behind: readonly Behind[],
    pending: PendingRequest,
    memory: ReplyMemory,
  ): Coroutine<InterestBacklog | undefined> {
    const { next } = pending.head;
    const covers = (device: string) => behind.some(({ channel }) => patternMatches(channel, device));
    const { number } = partition;
    let start = Math.min(...behind.map(({ from }) => from));
    if (!windowHas(partition, start, next)) {
      const { eventLog, topic } = this.#ranges;
      const bounds = yield* awaited(eventLog.bounds(topic, [number]));
      start = Math.max(start, bounds[number]?.first ?? start);
    }
    const range = { partition, from: start, until: Math.min(next, start + InterestServer.backlogRecordsMax) };
    let bytes = 0;
    const take = (report: BacklogReport) => {
      const isFirst = bytes === 0;
      bytes += report.report.length;
      return isFirst || (bytes <= backlogBytesMax && !this.#isLate(pending) && memory.grow(heldBytesOf(report)));
    };
    const selection = { covers, pattern: '>', isSubtree: true };
    const ids = new IdReservation(0, memory);
    const read = yield* readRange(selection, range, this.#ranges, take, { memory: ids });
    if (ids.isShort) return undefined;
    const { from, until, reports, missing } = read;
    const unreadable = missing.flatMap((gap) =>
      gap.reason === 'unreadable' ? [{ from: gap.from, until: gap.to + 1 }] : [],
    );
    return { first: from, until, logReports: reports.map((report) => toLogReport(number, report)), unreadable };
  }
}

/** The memory of the parts of one reply. To be released. */
class ReplyMemory {
  #reservation: Reservation;
  #usedBytes = 0;

  constructor(reservation: Reservation) {
    this.#reservation = reservation;
  }

  /** Uses further bytes of the reservation, or beyond it. Returns false if there is no memory now. */
  grow(bytes: number): boolean {
    const more = this.#usedBytes + bytes - this.#reservation.bytes;
    if (more > 0 && !this.#reservation.grow(more)) return false;
    this.#usedBytes += bytes;
    return true;
  }

  /** Releases all memory, and waits for a reservation of twice the size. */
  *double(queue: WorkQueue): Coroutine {
    const bytes = 2 * this.#reservation.bytes;
    this.#usedBytes = 0;
    this.#reservation.release();
    this.#reservation = yield* reserved(queue, bytes);
  }

  release(): void {
    this.#reservation.release();
  }
}

/** A request for interest in one partition, until its reply. */
interface PendingRequest {
  /** Partition and node. */
  readonly key: string;
  readonly interests: CheckedRequest['interests'];
  /** The fields of all parts of the reply. */
  readonly head: { readonly generation: number; readonly next: number };
  /** Charged to the node. */
  readonly queue: WorkQueue;
  /** When channels start to be deferred, monotonic ms. */
  readonly deferAtMs: number;
  /** When the node stops waiting, monotonic ms. */
  readonly endMs: number;
}

interface Behind {
  readonly channel: string;
  readonly from: number;
}

function isBehind(
  next: number,
): (interest: { readonly channel: string; readonly from?: number }) => interest is Behind {
  return (interest): interest is Behind => interest.from !== undefined && interest.from < next;
}

/** Encodes the positions of a range that repeat a message ID, up to the limit of a reply. */
function repeatsIn({ ids, next, generation }: Partition, { from, until }: PositionRange): Uint8Array {
  const repeated: number[] = [];
  let end = Math.min(next, until);
  for (const seq of ids.in(from, end)) {
    if (repeated.length === repeatsPerReplyMax) {
      end = seq;
      break;
    }
    repeated.push(seq - from);
  }
  return OwnerReply.encode({ generation, next: end, decidedFrom: ids.decidedFrom, repeated }).finish();
}

interface PositionRange {
  readonly from: number;
  readonly until: number;
}

/** A validated `OwnerRequest`. */
interface CheckedRequest {
  readonly node: string;
  readonly partition: number;
  readonly interests: readonly { readonly channel: string; readonly from?: number }[];
  readonly released: readonly string[];
  readonly held: number;
  readonly repeats: PositionRange | undefined;
  readonly devices: DeviceListRequest | undefined;
  readonly events: tailrace.v1.IEventsRequest | undefined;
  /** How long the node waits; infinite without the field. */
  readonly deadlineMs: number;
}

/** Throws `invalid_message` and `invalid_pattern`. */
function checkedRequestFrom(bytes: Uint8Array): CheckedRequest {
  let request: tailrace.v1.OwnerRequest;
  try {
    request = OwnerRequest.decode(bytes);
  } catch (cause) {
    throw new TailraceError('invalid_message', `expected an OwnerRequest, got ${bytes.length} other bytes`, { cause });
  }
  const interests = request.interests.map(({ channel, from }) => {
    if (!isPattern(channel))
      throw new TailraceError('invalid_pattern', `interests: expected patterns, got ${shown(channel)}`);
    return from === undefined || from === null ? { channel } : { channel, from };
  });
  const { node, partition, released, held } = request;
  const deadlineMs = request.deadlineMs > 0 ? request.deadlineMs : Number.POSITIVE_INFINITY;
  const { from = 0, until = 0 } = request.repeats ?? {};
  const repeats = request.repeats ? { from: from ?? 0, until: until ?? 0 } : undefined;
  const devices = request.devices ? deviceListRequestFrom(request.devices) : undefined;
  const events = request.events ?? undefined;
  return { node, partition, interests, released, held, repeats, devices, events, deadlineMs };
}

/** Adds the idle devices of the channels, and those that are online by a session. */
function* addPresences(
  partition: Partition,
  interests: CheckedRequest['interests'],
  head: PendingRequest['head'],
  parts: Uint8Array[],
): Coroutine {
  for (const { channel } of interests) {
    for (const presences of presencesIn(partition, channel)) {
      parts.push(OwnerReply.encode({ ...head, channel, presences }).finish());
      yield undefined;
    }
  }
}

/**
 * Adds the last values of a channel. Returns the number of devices; undefined if there is no memory for all of them.
 */
function* addLastValuesOf(
  partition: Partition,
  channel: string,
  head: PendingRequest['head'],
  memory: ReplyMemory,
  parts: Uint8Array[],
): Coroutine<number | undefined> {
  let updates: { seq: number; report: Uint8Array }[] = [];
  let bytes = 0;
  let devices: readonly Device[] = [];
  let visited = 0;
  for (;;) {
    devices = partition.index.page(channel, devices.at(-1)?.path ?? '', devicesPerStep);
    for (const device of devices) {
      for (const { seq, bytes: report } of device.lastValues()) {
        updates.push({ seq, report });
        bytes += report.length;
        if (bytes < partBytesMax) continue;
        if (!memory.grow(bytes)) return undefined;
        parts.push(OwnerReply.encode({ ...head, channel, updates }).finish());
        updates = [];
        bytes = 0;
      }
    }
    visited += devices.length;
    if (devices.length < devicesPerStep) break;
    yield undefined;
  }
  if (updates.length === 0) return visited;
  if (!memory.grow(bytes)) return undefined;
  parts.push(OwnerReply.encode({ ...head, channel, updates }).finish());
  return visited;
}

/** Iterates over the presences of a channel that no report shows, in lists that each fit a part. */
function* presencesIn(partition: Partition, channel: string): Iterable<tailrace.v1.IPresence[]> {
  let presences: tailrace.v1.IPresence[] = [];
  for (const presence of presencesOf(partition, channel)) {
    presences.push(presence);
    if (presences.length < presencesPerFrameMax) continue;
    yield presences;
    presences = [];
  }
  if (presences.length > 0) yield presences;
}

function* presencesOf(partition: Partition, channel: string): Iterable<tailrace.v1.IPresence> {
  for (const [device, { state, sinceMs, seq, session = 0 }] of partition.idleDevices(channel))
    yield { device: device.path, state, since: sinceMs, seq, session };
  for (const [device, { seq, session }] of partition.connectedDevices(channel))
    yield { device: device.path, state: online, seq, session };
}

/** Splits reports into lists of updates that each fit a part. */
function* chunks(logReports: Iterable<LogReport>): Iterable<{ seq: number; report: Uint8Array }[]> {
  let updates: { seq: number; report: Uint8Array }[] = [];
  let bytes = 0;
  for (const logReport of logReports) {
    updates.push({ seq: logReport.seq, report: logReport.bytes });
    bytes += logReport.bytes.length;
    if (bytes < partBytesMax) continue;
    yield updates;
    updates = [];
    bytes = 0;
  }
  if (updates.length > 0) yield updates;
}
