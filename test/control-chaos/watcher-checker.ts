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
