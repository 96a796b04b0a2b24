import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, setPriority } from 'node:os';

/** Values of `nice`: -20 is the highest priority, 19 the lowest. */
const firstNice = -10;
const lastNice = 19;
/** More than the whole range: `nice` stops at the lowest priority. */
const niceSteps = 39;

/**
 * Priorities and cores of the processes. The attacker's own CPU use must not harm the server: it runs at nice 19. The
 * target and honest clients run at nice -10 where `make attack` is root, so that other programs of the machine affect
 * them little. Clients leave one core to the target.
 */
export interface Placement {
  /** Prefixes of commands. */
  readonly honest: readonly string[];
  readonly attacker: readonly string[];
  /** Description, for the head of the table. */
  readonly words: string;
}

/** For a machine on which other tests run: a process at nice 19 would not run at all there. */
export const unplaced: Placement = { honest: [], attacker: [], words: 'nothing placed' };

export function placement(): Placement {
  const cores = availableParallelism();
  // In its own session: with sched_autogroup the kernel compares the priorities of sessions.
  const last = has('nice') && has('setsid') ? ['setsid', 'nice', '-n', String(niceSteps)] : [];
  const pinned = cores < 2 || !has('taskset') ? [] : ['taskset', '-c', cores === 2 ? '1' : `1-${cores - 1}`];
  const words = [
    `${cores} cores`,
    pinned.length === 0 ? 'nothing pinned' : `clients on ${pinned.at(-1)}`,
    last.length === 0 ? 'attackers not last' : 'attackers at nice 19',
  ];
  return { honest: pinned, attacker: [...last, ...pinned], words: words.join(', ') };
}

/**
 * Raises the priority of this process and of those that it starts. Returns false where that is not permitted.
 */
export function raiseOwnPriority(): boolean {
  try {
    setPriority(firstNice);
    return true;
  } catch {
    return false;
  }
}

/** Does the same for the sessions of all child processes, and sets the lowest priority for those of attackers. */
export function placeSessions(attackers: readonly number[]): void {
  for (const pid of descendants()) {
    try {
      writeFileSync(`/proc/${pid}/autogroup`, String(attackers.includes(pid) ? lastNice : firstNice));
    } catch {
      // It has exited meanwhile, or this kernel has no such groups.
    }
  }
}

function descendants(): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      // After the name in parentheses: state, then the parent.
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1');
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // It has exited meanwhile.
    }
  }
  const isOurs = (pid: number): boolean => pid === process.pid || (pid > 1 && isOurs(parents.get(pid) ?? 0));
  return [...parents.keys()].filter(isOurs);
}

function has(command: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${command}`], { stdio: 'ignore' }).status === 0;
}
