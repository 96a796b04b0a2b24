import { cpus, freemem, loadavg, totalmem, uptime } from 'node:os';
import type { Reading } from '@tailrace/protocol/report';
import type { CpuTimes } from './cpu.ts';
import type { Memory } from './memory.ts';
import { numberReading } from './readings.ts';

/**
 * What Node provides on every system, for hosts without `/proc` (macOS, Windows): no throughput of disks and networks,
 * no temperatures.
 */
export interface Portable {
  cpu(): CpuTimes;
  memory(): Memory;
  load(): Reading[];
}

export const portable: Portable = {
  cpu() {
    const times = cpus().map((core) => ({
      user: core.times.user + core.times.nice,
      system: core.times.sys + core.times.irq,
      waiting: 0,
      stolen: 0,
      idle: core.times.idle,
    }));
    const total = { user: 0, system: 0, waiting: 0, stolen: 0, idle: 0 };
    for (const core of times) {
      total.user += core.user;
      total.system += core.system;
      total.idle += core.idle;
    }
    return new Map([['total', total], ...times.map((core, index) => [`core${index}`, core] as const)]);
  },
  memory: () => ({ totalBytes: totalmem(), availableBytes: freemem() }),
  load() {
    const [one, five, fifteen] = loadavg();
    return [
      ...numberReading('load1', one, '1', 2),
      ...numberReading('load5', five, '1', 2),
      ...numberReading('load15', fifteen, '1', 2),
      ...numberReading('uptime', uptime(), 's', 0),
    ];
  },
};
