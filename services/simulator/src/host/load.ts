import type { Reading } from '@tailrace/protocol/report';
import { numberReading } from './readings.ts';

/** The text of `/proc/loadavg` (proc(5)), e.g. `0.20 0.18 0.12 1/80 11206`. */
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

/** The text of `/proc/uptime` (proc(5)): seconds since the start, then the idle time of all cores. */
export function uptimeReadings(text: string): Reading[] {
  const found = /^(\d+(?:\.\d+)?)\s/.exec(text);
  return found === null ? [] : numberReading('uptime', Number(found[1]), 's', 0);
}
