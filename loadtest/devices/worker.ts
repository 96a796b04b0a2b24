/**
 * Devices as a process of their own: a process has a limited number of open files, and the bench measures servers
 * alone. It is asked by `startChild` of the bench.
 */
import { createStream, type Stream } from '@tailrace/client';
import { answer, cpuSeconds } from '../bench/child.ts';
import { endLoopDelay, startLoopDelay } from '../bench/loop-delay.ts';
import { DeviceLoad, type DeviceLoadOptions, type LoadResult } from './device-load.ts';

export interface WorkerResult extends LoadResult {
  readonly delivered: number;
  /** Acknowledged, and not delivered. */
  readonly missing: number;
  readonly doubled: number;
  readonly disordered: number;
  /** Left out by the server, because the subscriber is too slow. */
  readonly skipped: number;
}

let load: DeviceLoad;
let options: DeviceLoadOptions;
let stream: Stream | undefined;
let skipped = 0;
let cpuBefore = 0;

const result = (): WorkerResult => ({ ...load.result, ...load.deliveries, skipped });

answer({
  connect: async (facts: DeviceLoadOptions) => {
    options = facts;
    load = new DeviceLoad(options);
    try {
      await load.connect();
    } catch (error) {
      return { error: (error as Error).message };
    }
    return {};
  },
  /** Subscribes to the devices of this process. Answers when reports are delivered from now on. */
  watch: async ({ urls }: { urls: readonly string[] }) => {
    stream = createStream({ url: urls, token: options.token });
    return await new Promise<{ error?: string }>((resolve) => {
      stream!.subscribe(`${options.prefix}.>`, {
        onReports(reports) {
          for (const { device, readings } of reports) load.delivered(device, Number(readings[0]!.value));
        },
        // Of devices whose first report came before the subscription; there are none.
        onSnapshot(reports) {
          for (const { device, readings } of reports) load.delivered(device, Number(readings[0]!.value));
        },
        onSkipped(ranges) {
          for (const { count } of ranges) skipped += count;
        },
        onState(state) {
          if (state.name === 'live') resolve({});
          else if (state.name === 'failed') resolve({ error: state.error.message });
        },
      });
    });
  },
  run: async ({ perSecond, seconds }: { perSecond: number; seconds: number }) => {
    await load.run(perSecond, seconds);
    return {};
  },
  flood: async ({ total }: { total: number }) => {
    await load.flood(total);
    return {};
  },
  /** Waits up to `graceMs` until everything is acknowledged, and what is acknowledged delivered. */
  finish: async ({ graceMs }: { graceMs: number }): Promise<WorkerResult> => {
    const untilMs = performance.now() + graceMs;
    const pause = () => new Promise((resolve) => setTimeout(resolve, 20));
    while (performance.now() < untilMs && load.unacknowledged > 0) await pause();
    while (stream !== undefined && performance.now() < untilMs && load.deliveries.missing > skipped) await pause();
    return result();
  },
  result,
  resetDelays: () => load.resetDelays(),
  /** Starts to measure this process. */
  startUse: () => {
    startLoopDelay();
    cpuBefore = cpuSeconds();
  },
  endUse: () => ({ cpu: cpuSeconds() - cpuBefore, late: endLoopDelay() }),
  close: async () => {
    stream?.close();
    await load.close();
    return {};
  },
});
