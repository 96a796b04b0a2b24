import type { Reading } from '@tailrace/protocol/report';
import { numberReading } from './readings.ts';

/** Parses `/proc/loadavg` (proc(5)), such as `0.20 0.18 0.12 1/80 11206`. */
export function loadReadings(text: string): Reading[] {
  const found = /^(\d+\.\d+) (\d+\.\d+) (\d+\.\d+) (\d+)\/(\d+)/.exec(text);
  if (found === null) return [];
  const [, one, five, fifteen, running, all] = found.map(Number);
  return [
    ...numberReading('load1', one, '1', 2),
    ...numberReading('load5', five, '1', 2),
    ...numberReading('load15', fifteen, '1', 2),
    ...numberReading('threads_running', running, '1', 0),
    ...numberReading('threads', all, '1', 0),
  ];
}

/** Parses `/proc/uptime` (proc(5)): seconds since boot, then the idle time of all cores. */
export function uptimeReadings(text: string): Reading[] {
  const found = /^(\d+(?:\.\d+)?)\s/.exec(text);
  return found === null ? [] : numberReading('uptime', Number(found[1]), 's', 0);
}
