/** The load of the fan-out bench, the same for both servers: one device, with several reports a flush. */
import { encodeReport } from '@tailrace/protocol/report-proto';

export const load = {
  device: 'plant1.line3.press7',
  sockets: 1_000,
  flushesPerSecond: 50,
  reportsPerFlush: 10,
  seconds: 6,
  partitions: 1,
} as const;

/** The reports of one flush as they lie in the log. All flushes are alike in size. */
export function reportsOfFlush(nowMs: number): { key: string; value: Uint8Array }[] {
  return Array.from({ length: load.reportsPerFlush }, (_, i) => ({
    key: load.device,
    value: encodeReport(
      {
        device: load.device,
        time: nowMs,
        readings: [
          { tag: 'temperature', value: 42.5 + i, unit: 'Cel' },
          { tag: 'pressure', value: 101.3, unit: 'bar' },
          { tag: 'strokes', value: 123456 + i },
          { tag: 'running', value: true },
        ],
      },
      nowMs,
    ),
  }));
}

/**
 * Calls at an even rate for the given time. Resolves with the number of calls. Late calls are caught up, as of a busy
 * log.
 */
export function paced(perSecond: number, seconds: number, call: () => void): Promise<number> {
  const total = perSecond * seconds;
  const start = performance.now();
  return new Promise((resolve) => {
    let done = 0;
    const timer = setInterval(
      () => {
        const due = Math.min(total, Math.floor(((performance.now() - start) / 1_000) * perSecond));
        for (; done < due; done++) call();
        if (done < total) return;
        clearInterval(timer);
        resolve(done);
      },
      1_000 / perSecond / 4,
    );
  });
}
