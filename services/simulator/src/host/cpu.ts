import type { Reading } from '@tailrace/protocol/report';
import { countFrom, numberReading } from './readings.ts';

/** Time that a processor has spent, in ticks or ms: only ratios are used. */
export interface CpuTime {
  readonly user: number;
  readonly system: number;
  readonly waiting: number;
  readonly stolen: number;
  readonly idle: number;
}

/** By name: `total`, `core0`, `core1` … Offline cores are missing. */
export type CpuTimes = ReadonlyMap<string, CpuTime>;

/** Bounds the report of a very large machine; the total covers all cores. */
const coresMax = 256;

/** Parses `/proc/stat` (proc(5)). Skips unknown lines. */
export function parseProcStat(text: string): CpuTimes {
  const times = new Map<string, CpuTime>();
  for (const line of text.split('\n')) {
    const found = /^cpu(\d*)\s+(.*)$/.exec(line);
    if (found === null) continue;
    // user nice system idle iowait irq softirq steal; guest time is contained in user. Old kernels have fewer columns.
    const [user, nice, system, idle, iowait = 0, irq = 0, softirq = 0, steal = 0] = (found[2] ?? '')
      .trim()
      .split(/\s+/)
      .map(countFrom);
    if (user === undefined || nice === undefined || system === undefined || idle === undefined) continue;
    if (times.size > coresMax) break;
    times.set(found[1] === '' ? 'total' : `core${found[1]}`, {
      user: user + nice,
      system: system + irq + softirq,
      waiting: iowait,
      stolen: steal,
      idle,
    });
  }
  return times;
}

/** Returns the use of the processors between two samples, in percent, without cores that `before` does not have. */
export function cpuReadings(now: CpuTimes, before: CpuTimes): Reading[] {
  const readings: Reading[] = [];
  for (const [name, time] of now) {
    const earlier = before.get(name);
    if (earlier === undefined) continue;
    // iowait may decrease (proc(5)): no negative share.
    const spent = (kind: keyof CpuTime) => Math.max(0, time[kind] - earlier[kind]);
    const busy = spent('user') + spent('system') + spent('stolen');
    const all = busy + spent('waiting') + spent('idle');
    if (all === 0) continue;
    const percent = (part: number) => (100 * part) / all;
    readings.push(...numberReading(name, percent(busy), '%', 1));
    if (name !== 'total') continue;
    readings.push(
      ...numberReading('user', percent(spent('user')), '%', 1),
      ...numberReading('system', percent(spent('system')), '%', 1),
      ...numberReading('waiting', percent(spent('waiting')), '%', 1),
    );
  }
  return readings;
}
