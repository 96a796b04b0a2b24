import type { Report } from '@tailrace/protocol/report';

export const load = { reports: 100, readings: 4, concurrency: 16, batches: 2_000, partitions: 12 } as const;

/** One batch: 100 reports of as many devices, four readings each. */
export function batchOf(nowMs: number): Report[] {
  return Array.from({ length: load.reports }, (_, i) => ({
    device: `plant1.line${i % 3}.machine${i}`,
    time: nowMs,
    readings: [
      { tag: 'temperature', value: 42.5 + i, unit: 'Cel' },
      { tag: 'pressure', value: 101.3, unit: 'bar' },
      { tag: 'strokes', value: 123_456 + i },
      { tag: 'running', value: true },
    ],
  }));
}
