import type { Clock } from '@tailrace/platform/clock';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { busLimits } from './limits.ts';
import { subjectMatches, subjectPatternsOverlap } from './subject.ts';

/** The work queues of a memory network, with JetStream's manners: see natsqueue.ts. They live in memory and end with the process. */
export interface MemoryQueues {
  /** Throws `storage_full`. */
  store(queue: string, subject: string, payload: Uint8Array, id: string): void;
  /** Throws `conflict`. */
  work(queue: string, pattern: string, options: MemoryWorkerOptions): MemoryWorker;
}

export interface MemoryWorkerOptions {
  retryMs: number;
  concurrency: number;
  onWork(payload: Uint8Array, subject: string): Promise<void>;
  /** Whether its node can hear and be heard. */
  isConnected(): boolean;
  onFailure(subject: string, error: unknown): void;
}

export interface MemoryWorker {
  /** Takes nothing more. Resolves when nothing runs any more. Idempotent. */
  stop(): Promise<void>;
  /** Its node is cut off or closed: what runs is handed out again after `retryMs`, unless the node is back by then. */
  lost(): void;
  /** Its node is back. */
  back(): void;
}

interface Item {
  subject: string;
  payload: Uint8Array;
  untilMs: number;
  /** How often it was handed out. A verdict on an earlier time does not hand it out once more. */
  handedOut: number;
  gone: boolean;
}

/** Work that one pattern's workers share. */
interface Lane {
  pattern: string;
  waiting: Set<Item>;
  /** The one whose turn it is first. */
  workers: Taker[];
  handOutIsDue: boolean;
}

interface Taker {
  options: MemoryWorkerOptions;
  running: Map<Item, number>;
  /** Verdicts that could not be told while the node was cut off. */
  untold: (() => void)[];
  stopped: boolean;
  idle: (() => void)[];
}

interface Queue {
  bytes: number;
  items: Set<Item>;
  lanes: Map<string, Lane>;
  /** What no lane's pattern matches. */
  unclaimed: Set<Item>;
  /** ID → when it may come again. In order of time. */
  ids: Map<string, number>;
}

// So that IDs cost no more memory than the work itself.
const idsMax = 1_000_000;

export function createMemoryQueues(clock: Clock): MemoryQueues {
  const queues = new Map<string, Queue>();

  function queueOf(name: string): Queue {
    let queue = queues.get(name);
    if (queue === undefined) {
      queue = { bytes: 0, items: new Set(), lanes: new Map(), unclaimed: new Set(), ids: new Map() };
      queues.set(name, queue);
    }
    return queue;
  }

  return {
    store(name, subject, payload, id) {
      const queue = queueOf(name);
      const nowMs = clock.monotonic();
      forgetOld(queue, nowMs);
      if (queue.ids.has(id)) return;
      if (queue.bytes + payload.length > busLimits.queueBytesMax || queue.ids.size >= idsMax) {
        throw new TailraceError(
          'storage_full',
          `the queue ${shown(name)} is full: ${queue.bytes} bytes of work wait, at most ${busLimits.queueBytesMax}`,
        );
      }
      queue.ids.set(id, nowMs + busLimits.queueDuplicateMs);
      const item: Item = { subject, payload, untilMs: nowMs + busLimits.queueAgeMs, handedOut: 0, gone: false };
      queue.items.add(item);
      queue.bytes += payload.length;
      place(queue, item, clock);
    },
    work(name, pattern, options) {
      const queue = queueOf(name);
      for (const other of queue.lanes.keys()) {
        if (other !== pattern && subjectPatternsOverlap(other, pattern)) {
          throw new TailraceError(
            'conflict',
            `${shown(pattern)} overlaps with ${shown(other)}, which others work on: patterns of one queue are equal or disjoint`,
          );
        }
      }
      let lane = queue.lanes.get(pattern);
      if (lane === undefined) {
        lane = { pattern, waiting: new Set(), workers: [], handOutIsDue: false };
        queue.lanes.set(pattern, lane);
        claim(queue, lane);
      }
      const taker: Taker = { options, running: new Map(), untold: [], stopped: false, idle: [] };
      lane.workers.push(taker);
      handOutSoon(queue, lane, clock);
      return workerOf(queue, lane, taker, clock);
    },
  };
}

function workerOf(queue: Queue, lane: Lane, taker: Taker, clock: Clock): MemoryWorker {
  return {
    async stop() {
      if (!taker.stopped) {
        taker.stopped = true;
        lane.workers.splice(lane.workers.indexOf(taker), 1);
        if (lane.workers.length === 0) giveUp(queue, lane, clock);
      }
      if (taker.running.size > 0) await new Promise<void>((resolve) => taker.idle.push(resolve));
    },
    lost() {
      for (const [item, time] of taker.running) {
        clock.after(taker.options.retryMs, () => {
          if (!taker.options.isConnected() && item.handedOut === time) place(queue, item, clock);
        });
      }
    },
    back() {
      for (const tell of taker.untold.splice(0)) tell();
      handOutSoon(queue, lane, clock);
    },
  };
}

function forgetOld(queue: Queue, nowMs: number): void {
  for (const [id, untilMs] of queue.ids) {
    if (untilMs > nowMs) break;
    queue.ids.delete(id);
  }
  for (const item of queue.items) {
    if (item.untilMs > nowMs) break;
    remove(queue, item);
  }
}

function remove(queue: Queue, item: Item): void {
  if (item.gone) return;
  item.gone = true;
  queue.items.delete(item);
  queue.unclaimed.delete(item);
  for (const lane of queue.lanes.values()) lane.waiting.delete(item);
  queue.bytes -= item.payload.length;
}

/** Where it waits for a worker. */
function place(queue: Queue, item: Item, clock: Clock): void {
  if (item.gone) return;
  for (const lane of queue.lanes.values()) {
    if (subjectMatches(lane.pattern, item.subject)) {
      lane.waiting.add(item);
      handOutSoon(queue, lane, clock);
      return;
    }
  }
  queue.unclaimed.add(item);
}

function claim(queue: Queue, lane: Lane): void {
  for (const item of queue.unclaimed) {
    if (subjectMatches(lane.pattern, item.subject)) {
      queue.unclaimed.delete(item);
      lane.waiting.add(item);
    }
  }
}

/** Its last worker left: others may ask for its work by another pattern. */
function giveUp(queue: Queue, lane: Lane, clock: Clock): void {
  if (queue.lanes.get(lane.pattern) === lane) queue.lanes.delete(lane.pattern);
  for (const item of lane.waiting) place(queue, item, clock);
  lane.waiting.clear();
}

function handOutSoon(queue: Queue, lane: Lane, clock: Clock): void {
  if (lane.handOutIsDue) return;
  lane.handOutIsDue = true;
  clock.after(0, () => {
    lane.handOutIsDue = false;
    for (const item of lane.waiting) {
      const turn = lane.workers.findIndex(
        ({ options, running }) => options.isConnected() && running.size < options.concurrency,
      );
      const taker = lane.workers[turn];
      if (taker === undefined) return;
      // To the end of the line.
      lane.workers.splice(turn, 1);
      lane.workers.push(taker);
      lane.waiting.delete(item);
      if (item.untilMs <= clock.monotonic()) remove(queue, item);
      else void run(queue, lane, taker, item, clock);
    }
  });
}

async function run(queue: Queue, lane: Lane, taker: Taker, item: Item, clock: Clock): Promise<void> {
  const { options } = taker;
  const time = ++item.handedOut;
  taker.running.set(item, time);
  let isDone = true;
  try {
    await options.onWork(item.payload, item.subject);
  } catch (error) {
    isDone = false;
    options.onFailure(item.subject, error);
  }
  const tell = () => {
    if (isDone) remove(queue, item);
    else clock.after(options.retryMs, () => item.handedOut === time && place(queue, item, clock));
  };
  if (options.isConnected()) tell();
  else taker.untold.push(tell);
  if (taker.running.get(item) === time) taker.running.delete(item);
  if (taker.running.size === 0) for (const resolve of taker.idle.splice(0)) resolve();
  handOutSoon(queue, lane, clock);
}
