import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Log } from '@tailrace/platform/log';
import { isTailraceError, type TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Wire, WireItem, WireTap, WireVerdict } from './wire.ts';

/**
 * Takes items off a queue and runs them, at most `concurrency` at a time, over as many wires as come and go. It asks only for as many
 * items as it can start at once, so that none waits here while another worker is free. While an item runs the server is told
 * so; what finishes during an outage is settled on the next wire.
 */
export interface Worker {
  /** Works on this wire until it is lost. */
  attach(wire: Wire): void;
  /** Takes nothing more. Resolves when nothing runs any more. */
  stop(): Promise<void>;
  /** What runs still is left to others: the server hears no more of it. After `stop`. */
  abandon(): void;
}

export interface WorkerOptions {
  queue: string;
  pattern: string;
  retryMs: number;
  concurrency: number;
  onWork(payload: Uint8Array, subject: string): Promise<void>;
  /** The wire that is up. */
  present(): Wire | undefined;
  /** The server has taken us on (no argument), or refused for good. */
  onKnown(error?: TailraceError): void;
  clock: Clock;
  log: Log;
}

const troublePauseMs = 250;
const troublePauseMsMax = 10_000;
// Verdicts remembered because the server may not have got them.
const endedMax = 1000;

interface Run {
  heartbeat: Timer;
  /** Of the last time it was handed out. */
  receipt: string;
}

export function createWorker(options: WorkerOptions): Worker {
  const { queue, pattern, retryMs, concurrency, clock, log } = options;
  const running = new Map<string, Run>();
  /** Done while there was no wire. A server that crashed may have forgotten that it handed them out, and hands them out again. */
  const ended = new Map<string, string>();
  const whenIdle: (() => void)[] = [];
  let stopped = false;
  let isKnown = false;
  let troubles = 0;
  let tap: WireTap | undefined;
  let onChange: () => void = () => {};

  async function run(item: WireItem): Promise<void> {
    const heartbeat = clock.every(retryMs / 2, () => options.present()?.settle(here.receipt, { kind: 'working' }));
    const here: Run = { heartbeat, receipt: item.receipt };
    running.set(item.key, here);
    let verdict: WireVerdict = { kind: 'done' };
    try {
      await options.onWork(item.payload, item.subject);
    } catch (error) {
      log.warn({ queue, subject: item.subject, error }, 'work failed and will be tried again');
      verdict = { kind: 'retry', afterMs: retryMs };
    }
    heartbeat.cancel();
    running.delete(item.key);
    const wire = options.present();
    if (wire !== undefined) wire.settle(here.receipt, verdict);
    else if (verdict.kind === 'done') remember(item.key, here.receipt);
    // A failure that could not be told: the server hands the item out again by itself.
    onChange();
    if (running.size === 0) for (const resolve of whenIdle.splice(0)) resolve();
  }

  function remember(key: string, receipt: string): void {
    ended.set(key, receipt);
    for (const oldest of ended.keys()) {
      if (ended.size <= endedMax) break;
      ended.delete(oldest);
    }
  }

  function onItem(wire: Wire, item: WireItem): void {
    if (stopped) return;
    const here = running.get(item.key);
    // Handed out twice because of an outage: it runs here still, and its verdict counts for both.
    if (here !== undefined) here.receipt = item.receipt;
    else if (ended.delete(item.key)) wire.settle(item.receipt, { kind: 'done' });
    else void run(item);
  }

  async function follow(wire: Wire): Promise<void> {
    const isPresent = () => !stopped && options.present() === wire;
    for (const receipt of ended.values()) wire.settle(receipt, { kind: 'done' });
    while (isPresent()) {
      try {
        const open = await wire.tap(queue, pattern, retryMs);
        tap = open;
        isKnown = true;
        troubles = 0;
        options.onKnown();
        while (isPresent()) {
          const free = concurrency - running.size;
          if (free > 0) await open.take(free, (item) => onItem(wire, item));
          else await new Promise<void>((resolve) => (onChange = resolve));
        }
      } catch (error) {
        if (!isPresent()) return;
        // At the start the caller can decide; later it counts on us, except where trying again is of no use.
        if (!isKnown || (isTailraceError(error) && !error.retryable)) {
          stopped = true;
          options.onKnown(tailraceErrorFrom(error));
          return;
        }
        log.warn({ queue, pattern, error }, 'cannot take work off the queue, trying again');
        await clock.sleep(Math.min(troublePauseMsMax, troublePauseMs * 2 ** troubles++));
      }
    }
  }

  return {
    attach(wire) {
      void follow(wire);
    },
    async stop() {
      stopped = true;
      tap?.stop();
      onChange();
      if (running.size > 0) await new Promise<void>((resolve) => whenIdle.push(resolve));
    },
    abandon() {
      for (const { heartbeat } of running.values()) heartbeat.cancel();
    },
  };
}
