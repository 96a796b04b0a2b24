import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, setPriority } from 'node:os';

/** As `nice` counts: -20 is first, 19 last. */
const firstNice = -10;
const lastNice = 19;
/** More than from first to last: `nice` stops at the last. */
const niceSteps = 39;

/**
 * Who gives way to whom on the processors. The attacker's own work is not the server's harm: it runs at nice 19, and
 * gets what no other process wants. The target and honest clients run at nice -10 where `make attack` is root, so that
 * other programs of the machine take little from them. Clients leave one core to the target.
 */
export interface Placement {
  /** Prefixes of commands. */
  readonly honest: readonly string[];
  readonly attacker: readonly string[];
  /** In words, for the head of the table. */
  readonly words: string;
}

/** For a machine on which other tests run: what runs at nice 19 there does not run at all. */
export const unplaced: Placement = { honest: [], attacker: [], words: 'nothing placed' };

export function placement(): Placement {
  const cores = availableParallelism();
  // A session of its own: where the kernel groups processes by session (sched_autogroup), only groups are compared.
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
 * Puts this process and what it starts from now on before other programs. Returns false where that is not permitted.
 */
export function raiseOwnPriority(): boolean {
  try {
    setPriority(firstNice);
    return true;
  } catch {
    return false;
  }
}

/** Does the same for the sessions of all processes that this one has started, and puts those of attackers last. */
export function placeSessions(attackers: readonly number[]): void {
  for (const pid of descendants()) {
    try {
      writeFileSync(`/proc/${pid}/autogroup`, String(attackers.includes(pid) ? lastNice : firstNice));
    } catch {
      // It ended meanwhile, or this kernel has no such groups.
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
      // It ended meanwhile.
    }
  }
  const isOurs = (pid: number): boolean => pid === process.pid || (pid > 1 && isOurs(parents.get(pid) ?? 0));
  return [...parents.keys()].filter(isOurs);
}

function has(command: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${command}`], { stdio: 'ignore' }).status === 0;
}
