import type { Reading } from '@tailrace/protocol/report';
import { countFrom, numberReading } from './readings.ts';

export interface Memory {
  readonly totalBytes: number;
  readonly availableBytes: number;
  readonly swapTotalBytes?: number | undefined;
  readonly swapFreeBytes?: number | undefined;
  readonly cachedBytes?: number | undefined;
}

/** Parses `/proc/meminfo` (proc(5)). Returns undefined without the total and free memory. */
export function parseMeminfo(text: string): Memory | undefined {
  const bytes = new Map<string, number>();
  for (const line of text.split('\n')) {
    const found = /^([A-Za-z_()]+):\s+(\d+)(?: kB)?\s*$/.exec(line);
    const count = countFrom(found?.[2]);
    if (found?.[1] !== undefined && count !== undefined) bytes.set(found[1], count * 1024);
  }
  const totalBytes = bytes.get('MemTotal');
  const free = bytes.get('MemFree');
  if (totalBytes === undefined || free === undefined || totalBytes === 0) return undefined;
  const cachedBytes = bytes.get('Cached');
  // Kernels before 3.14 have no MemAvailable.
  const availableBytes = bytes.get('MemAvailable') ?? free + (bytes.get('Buffers') ?? 0) + (cachedBytes ?? 0);
  return {
    totalBytes,
    availableBytes,
    cachedBytes,
    swapTotalBytes: bytes.get('SwapTotal'),
    swapFreeBytes: bytes.get('SwapFree'),
  };
}

export function memoryReadings(memory: Memory): Reading[] {
  const used = memory.totalBytes - memory.availableBytes;
  const { swapTotalBytes, swapFreeBytes } = memory;
  const swapped =
    swapTotalBytes !== undefined && swapFreeBytes !== undefined && swapTotalBytes > 0
      ? swapTotalBytes - swapFreeBytes
      : undefined;
  return [
    ...numberReading('used_share', (100 * used) / memory.totalBytes, '%', 1),
    ...numberReading('used', used, 'By', 0),
    ...numberReading('available', memory.availableBytes, 'By', 0),
    ...numberReading('cached', memory.cachedBytes, 'By', 0),
    ...numberReading('swap_used', swapped, 'By', 0),
  ];
}
