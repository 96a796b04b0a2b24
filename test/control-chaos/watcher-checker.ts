import type { LoggedReport } from './alarm-replay.ts';
import type { LoggedEvents } from './logged.ts';

/** What one screen received. */
export interface Received {
  readonly name: string;
  /** By partition: the IDs of transitions of alarms, in the order of their delivery. */
  readonly alarms: readonly (readonly string[] | undefined)[];
  /** By command: the numbers of its transitions. */
  readonly commands: ReadonlyMap<string, readonly number[]>;
  /** How often a snapshot came in the place of transitions. */
  readonly replaced: number;
}

/** Returns a sentence for the first difference of each partition and command from the log. */
export function watcherViolations(
  { name, alarms, commands, replaced }: Received,
  logged: Pick<LoggedEvents, 'transitions' | 'commands'>,
): string[] {
  const violations: string[] = [];
  if (replaced > 0) violations.push(`${name}: expected each transition, got ${replaced} snapshots in their place`);
  for (const [partition, transitions = []] of logged.transitions.entries()) {
    const expected = transitions.map(({ id }) => id);
    const received = alarms[partition] ?? [];
    const index = expected.findIndex((id, place) => received[place] !== id);
    const [want, got] = [expected.length, received.length];
    if (index >= 0 || want !== got)
      violations.push(
        `${name}, partition ${partition}: expected the ${want} transitions of the log in their order, got ${got}` +
          `; the first difference is at ${index < 0 ? want : index}`,
      );
  }
  for (const [id, all] of logged.commands) {
    const expected = [...new Set(all.map(({ transition }) => transition.number))].join();
    const received = (commands.get(id) ?? []).join();
    if (expected !== received)
      violations.push(`${name}: command ${id}: expected the transitions ${expected}, got ${received || 'none'}`);
  }
  for (const id of commands.keys())
    if (!logged.commands.has(id)) violations.push(`${name}: command ${id}: expected one of the log`);
  return violations;
}

/** What one screen received of the reports. */
export interface ReceivedReports {
  readonly name: string;
  /** By device: the positions of its reports, in the order of their delivery. */
  readonly reports: ReadonlyMap<string, readonly number[]>;
  /** Ranges of positions that the server has named as missing. */
  readonly missing: number;
}

/** Each report of the log is received once, in the order of the log; of those that were sent again the first one. */
export function reportViolations(
  { name, reports, missing }: ReceivedReports,
  logged: ReadonlyMap<string, readonly LoggedReport[]>,
): string[] {
  const violations: string[] = [];
  if (missing > 0) violations.push(`${name}: expected all reports, got ${missing} missing ranges`);
  for (const [device, all] of logged) {
    const known = new Set<string>();
    const expected: number[] = [];
    for (const { seq, report } of all) {
      const { id = String(seq) } = report;
      if (!known.has(id)) expected.push(seq);
      known.add(id);
    }
    const received = reports.get(device) ?? [];
    const index = expected.findIndex((seq, place) => received[place] !== seq);
    if (index >= 0 || received.length !== expected.length)
      violations.push(
        `${name}, ${device}: expected ${expected.length} reports, got ${received.length}; ` +
          `at ${index} expected ${expected[index]}, got ${received[index]}`,
      );
  }
  return violations;
}

/** What ingest has acknowledged is in the log. */
export function missingReports(
  acknowledged: ReadonlySet<string>,
  logged: ReadonlyMap<string, readonly LoggedReport[]>,
): string[] {
  const known = new Set([...logged.values()].flatMap((all) => all.map(({ report }) => report.id)));
  const missing = [...acknowledged].filter((id) => !known.has(id));
  if (missing.length === 0) return [];
  return [
    `reports: expected those acknowledged in the log, got all but ${missing.length}: ${missing.slice(0, 3).join()}`,
  ];
}
