import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';

/** Processor time of the machine so far, seconds of one processor. */
export interface MachineUse {
  readonly busy: number;
  readonly total: number;
}

export function machineUse(): MachineUse {
  let [busy, total] = [0, 0];
  for (const { times } of cpus()) {
    const all = times.user + times.nice + times.sys + times.irq + times.idle;
    busy += (all - times.idle) / 1_000;
    total += all / 1_000;
  }
  return { busy, total };
}

const ticksPerSecond = 100;

/** Returns user and system time of a process, seconds; 0 where there is no /proc, and for a broker elsewhere. */
export async function cpuSecondsOf(pid: number | undefined): Promise<number> {
  if (pid === undefined) return 0;
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined);
  // The name of the program may have spaces.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / ticksPerSecond;
}
