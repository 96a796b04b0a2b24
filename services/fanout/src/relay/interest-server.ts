import { shown, TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { isPattern, patternMatches } from '@tailrace/protocol/pattern';
import { readRange, windowHas } from '../catch-up/backlog.ts';
import { heldBytesOf, IdReservation, type LogRangeContext } from '../catch-up/log-range.ts';
import type { Reservation } from '../catch-up/memory-budget.ts';
import { awaited, drive, reserved, type Steps } from '../catch-up/steps.ts';
import type { WorkQueue, WorkScheduler } from '../catch-up/work-scheduler.ts';
import type { Device } from '../channels/device.ts';
import type { LogReport } from '../channels/log-report.ts';
import { type DeviceListRequest, deviceListOf, deviceListRequestFrom } from '../devices/device-list-message.ts';
import { devicePageWithin } from '../devices/device-page.ts';
import type { Partition } from '../ownership/partition.ts';
import { presencesPerFrameMax } from './relay-feed.ts';

const { OwnerRequest, OwnerReply } = tailrace.v1;

/** Parts are cut at about this size, so that each fits a bus message. */
const partBytesMax = 256 * 1024;
const backlogRecordsMaxDefault = 50_000;
/** Devices whose last values are taken in one step. */
const devicesPerStep = 128;
/** Of the reports in an answer. A node that is further behind asks again from where it ends. */
const answerBytesMax = 4 * 1_048_576;
/** Part of the time that a node waits, after which the owner defers the channels that are left. */
const answerShare = 1 / 2;
/** Some five bytes each: such an answer fits a bus message. Only in a flood of repetitions there are more. */
const repeatsPerAnswerMax = 50_000;

interface Backlog {
  /** It holds everything before. */
  readonly until: number;
  /** The first position the log still had. */
  readonly first: number;
  readonly logReports: readonly LogReport[];
  /** Positions that the log cannot read. */
  readonly unreadable: readonly PositionRange[];
}

/**
 * Answers other nodes about the partitions this node owns: takes their interest down, and tells what came before the frames that
 * will carry it.
 *
 * **Time.** A node waits `deadlineMs` for its answer, then asks again. An owner with much to do must not work on
 * answers that are thrown away: the more of these it has, the later all others are. So work stops when the time is
 * over, and when the same node asks about the same partition again. And each answer brings something: when half of the
 * time is over, and one channel is answered, the channels that are left are `deferred`.
 *
 * **Memory.** An answer starts with memory for one part, and takes more with each part. Where there is no more, and one
 * channel is answered, the channels that are left are `deferred`. The first channel is sent whole: if it does not fit,
 * it is read again once there is twice the memory. So is what nodes have missed, where there is no memory for the
 * message IDs by which repetitions are known; behind a channel that is answered it is deferred.
 */
export class InterestServer {
  readonly #partitions: readonly Partition[];
  readonly #ranges: LogRangeContext;
  readonly #work: Pick<WorkScheduler, 'queue'>;
  readonly #now: () => number;
  readonly #backlogRecordsMax: number;
  /** The last question of each node about each partition, while it is being answered. */
  readonly #questions = new Map<string, Question>();

  constructor(parts: {
    partitions: readonly Partition[];
    ranges: LogRangeContext;
    /** What nodes ask for is charged to them. */
    work: Pick<WorkScheduler, 'queue'>;
    /** Monotonic ms. */
    now: () => number;
    /** Records that one request may make this node read back. A node that is further behind asks again from where the answer ends. */
    backlogRecordsMax?: number | undefined;
  }) {
    this.#partitions = parts.partitions;
    this.#ranges = parts.ranges;
    this.#work = parts.work;
    this.#now = parts.now;
    this.#backlogRecordsMax = parts.backlogRecordsMax ?? backlogRecordsMaxDefault;
  }

  /** A request's bytes → the parts of the answer. Throws `unavailable` where this node does not serve the partition (any more). */
  async answer(bytes: Uint8Array): Promise<Uint8Array[]> {
    const request = askedFrom(bytes);
    if (request.devices !== undefined) return [await this.#deviceList(request, request.devices)];
    const partition = this.#partitions[request.partition];
    if (partition?.role !== 'owned') {
      throw new TailraceError('unavailable', `this node does not serve partition ${request.partition}; ask its owner`);
    }
    if (request.repeats !== undefined) return [repeatsIn(partition, request.repeats)];
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
    const question = this.#ask(request, { generation, next }, sentMs);
    try {
      await drive(question.queue, this.#answer(partition, question, parts), () => this.#isWanted(question));
      return parts;
    } finally {
      question.queue.close();
      if (this.#questions.get(question.key) === question) this.#questions.delete(question.key);
    }
  }

  #ask({ node, partition, interests, deadlineMs }: Asked, head: Question['head'], nowMs: number): Question {
    const question: Question = {
      key: `${partition} ${node}`,
      interests,
      head,
      queue: this.#work.queue(node, 'node'),
      deferAtMs: nowMs + deadlineMs * answerShare,
      endMs: nowMs + deadlineMs,
    };
    this.#questions.set(question.key, question);
    return question;
  }

  #isWanted(question: Question): boolean {
    return this.#questions.get(question.key) === question && this.#now() < question.endMs;
  }

  /** What is known of each channel, then what the node has not had, each as far as there is time. */
  *#answer(partition: Partition, question: Question, parts: Uint8Array[]): Steps {
    const { interests, head, queue } = question;
    const fresh = interests.filter(({ from }) => from === undefined);
    const caughtUp = interests.filter(({ from }) => from !== undefined && from >= head.next);
    const behind = interests.filter(isBehind(head.next));
    yield* presenceParts(partition, [...caughtUp, ...behind], head, parts);
    const deferred: { readonly channel: string }[] = [];
    if (fresh.length + behind.length > 0) {
      const memory = new AnswerMemory(yield* reserved(queue, partBytesMax));
      try {
        const answered = yield* this.#answerFresh(partition, fresh, question, memory, parts);
        deferred.push(...fresh.slice(answered));
        const isOver = answered > 0 && (answered < fresh.length || this.#isLate(question));
        if (isOver) deferred.push(...behind);
        else if (behind.length > 0) {
          let backlog = yield* this.#backlog(partition, behind, question, memory);
          while (backlog === undefined && answered === 0) {
            yield* memory.double(queue);
            backlog = yield* this.#backlog(partition, behind, question, memory);
          }
          if (backlog === undefined) deferred.push(...behind);
          else parts.push(...(yield* this.#partsOf(partition, behind, backlog)));
        }
      } finally {
        memory.release();
      }
    }
    for (const { channel } of deferred) parts.push(OwnerReply.encode({ ...head, channel, deferred: true }).finish());
  }

  #isLate({ deferAtMs }: Question): boolean {
    return this.#now() >= deferAtMs;
  }

  /**
   * In steps: what is later than the moment of the answer, the frames have, too, and they are sent before it. Returns
   * the number of channels for which there was time and memory.
   */
  *#answerFresh(
    partition: Partition,
    fresh: Asked['interests'],
    question: Question,
    memory: AnswerMemory,
    parts: Uint8Array[],
  ): Steps<number> {
    const { head, queue } = question;
    let answered = 0;
    let taken = 0;
    while (answered < fresh.length && (answered === 0 || !this.#isLate(question))) {
      const interest = fresh[answered]!;
      const before = parts.length;
      yield* presenceParts(partition, [interest], head, parts);
      const devices = yield* lastValueParts(partition, interest.channel, head, memory, parts);
      if (devices === undefined) {
        parts.length = before;
        if (answered > 0) break;
        yield* memory.double(queue);
        continue;
      }
      answered++;
      taken += devices;
      if (taken < devicesPerStep) continue;
      taken = 0;
      yield undefined;
    }
    return answered;
  }

  /** Lists devices of those partitions that this node serves. The answer names them. */
  async #deviceList({ node, deadlineMs }: Asked, { partitions, query }: DeviceListRequest): Promise<Uint8Array> {
    const endMs = this.#now() + deadlineMs;
    const served = partitions.flatMap((number) => {
      const partition = this.#partitions[number];
      return partition?.role === 'owned' ? [partition] : [];
    });
    const queue = this.#work.queue(node, 'node');
    try {
      const page = await drive(queue, devicePageWithin(queue, served, query), () => this.#now() < endMs);
      return OwnerReply.encode({ devices: deviceListOf(served, page) }).finish();
    } finally {
      queue.close();
    }
  }

  *#partsOf(partition: Partition, behind: readonly Behind[], backlog: Backlog): Steps<Uint8Array[]> {
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
      for (const updates of cut([...known, ...wanted])) {
        parts.push(OwnerReply.encode({ generation, next: backlog.until, channel, updates }).finish());
        yield undefined;
      }
    }
    return parts;
  }

  /**
   * What was delivered of a partition in [from, next), as much as one request may have, read once for all the channels
   * of a request. Undefined where there is no memory for the message IDs that have to be known.
   */
  *#backlog(
    partition: Partition,
    behind: readonly Behind[],
    question: Question,
    memory: AnswerMemory,
  ): Steps<Backlog | undefined> {
    const { next } = question.head;
    const covers = (device: string) => behind.some(({ channel }) => patternMatches(channel, device));
    const { number } = partition;
    let start = Math.min(...behind.map(({ from }) => from));
    if (!windowHas(partition, start, next)) {
      const { eventLog, topic } = this.#ranges;
      const bounds = yield* awaited(eventLog.bounds(topic, [number]));
      start = Math.max(start, bounds[number]?.first ?? start);
    }
    const range = { partition, from: start, until: Math.min(next, start + this.#backlogRecordsMax) };
    let bytes = 0;
    const take = (logReport: LogReport) => {
      const isFirst = bytes === 0;
      bytes += logReport.bytes.length;
      return isFirst || (bytes <= answerBytesMax && !this.#isLate(question) && memory.grow(heldBytesOf(logReport)));
    };
    const selection = { covers, pattern: '>', isSubtree: true };
    const ids = new IdReservation(0, memory);
    const read = yield* readRange(selection, range, this.#ranges, take, { memory: ids });
    if (ids.isShort) return undefined;
    const { from, until, reports, missing } = read;
    const unreadable = missing.flatMap((gap) =>
      gap.reason === 'unreadable' ? [{ from: gap.from, until: gap.to + 1 }] : [],
    );
    return { first: from, until, logReports: reports.map(({ logReport }) => logReport), unreadable };
  }
}

/** The memory that the parts of one answer take. `release` it. */
class AnswerMemory {
  #reservation: Reservation;
  #usedBytes = 0;

  constructor(reservation: Reservation) {
    this.#reservation = reservation;
  }

  /** Takes so many bytes, from what is reserved or beside it. False: there is no room now. */
  grow(bytes: number): boolean {
    const more = this.#usedBytes + bytes - this.#reservation.bytes;
    if (more > 0 && !this.#reservation.grow(more)) return false;
    this.#usedBytes += bytes;
    return true;
  }

  /** Nothing is used any more; waits for twice the memory. It holds none while it waits. */
  *double(queue: WorkQueue): Steps {
    const bytes = 2 * this.#reservation.bytes;
    this.#usedBytes = 0;
    this.#reservation.release();
    this.#reservation = yield* reserved(queue, bytes);
  }

  release(): void {
    this.#reservation.release();
  }
}

/** What a node asks about one partition, while it is being answered. */
interface Question {
  /** Of the node and the partition. */
  readonly key: string;
  readonly interests: Asked['interests'];
  /** Of all parts of the answer. */
  readonly head: { readonly generation: number; readonly next: number };
  /** Charged to the node. */
  readonly queue: WorkQueue;
  /** Monotonic ms. From here on channels are deferred. */
  readonly deferAtMs: number;
  /** Monotonic ms. From here on the node no longer waits. */
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

/** Which positions of a range repeat a message ID, as far as one answer has room for. */
function repeatsIn({ ids, next, generation }: Partition, { from, until }: PositionRange): Uint8Array {
  const repeated: number[] = [];
  let end = Math.min(next, until);
  for (const seq of ids.in(from, end)) {
    if (repeated.length === repeatsPerAnswerMax) {
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

interface Asked {
  readonly node: string;
  readonly partition: number;
  readonly interests: readonly { readonly channel: string; readonly from?: number }[];
  readonly released: readonly string[];
  readonly held: number;
  readonly repeats: PositionRange | undefined;
  readonly devices: DeviceListRequest | undefined;
  /** How long the node waits; infinite from a node that does not say. */
  readonly deadlineMs: number;
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
  const deadlineMs = request.deadlineMs > 0 ? request.deadlineMs : Number.POSITIVE_INFINITY;
  const { from = 0, until = 0 } = request.repeats ?? {};
  const repeats = request.repeats ? { from: from ?? 0, until: until ?? 0 } : undefined;
  const devices = request.devices ? deviceListRequestFrom(request.devices) : undefined;
  return { node, partition, interests, released, held, repeats, devices, deadlineMs };
}

/** Devices of the channels that do not report. */
function* presenceParts(
  partition: Partition,
  interests: Asked['interests'],
  head: Question['head'],
  parts: Uint8Array[],
): Steps {
  for (const { channel } of interests) {
    for (const presences of silences(partition, channel)) {
      parts.push(OwnerReply.encode({ ...head, channel, presences }).finish());
      yield undefined;
    }
  }
}

/** Returns the number of devices; undefined where there is no memory for all of them. */
function* lastValueParts(
  partition: Partition,
  channel: string,
  head: Question['head'],
  memory: AnswerMemory,
  parts: Uint8Array[],
): Steps<number | undefined> {
  let updates: { seq: number; report: Uint8Array }[] = [];
  let bytes = 0;
  let devices: readonly Device[] = [];
  let taken = 0;
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
    taken += devices.length;
    if (devices.length < devicesPerStep) break;
    yield undefined;
  }
  if (updates.length === 0) return taken;
  if (!memory.grow(bytes)) return undefined;
  parts.push(OwnerReply.encode({ ...head, channel, updates }).finish());
  return taken;
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
function* cut(logReports: Iterable<LogReport>): Iterable<{ seq: number; report: Uint8Array }[]> {
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
