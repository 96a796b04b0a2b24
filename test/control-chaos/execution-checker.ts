import type { Act } from './act-ledger.ts';
import type { Execution } from './execution-ledger.ts';
import type { LoggedCommand } from './logged.ts';

export interface CommandFacts {
  /** Commands that people have requested. */
  readonly acts: readonly Act[];
  /** Transitions in the log, by command, in the order of the log. */
  readonly logged: ReadonlyMap<string, readonly LoggedCommand[]>;
  readonly executions: readonly Execution[];
  /** Subjects whose commands are not in the ledger: scenes of schedules. */
  readonly otherSenders?: readonly string[];
}

/** How much later than its deadline a device may execute a command, ms: its clock counts from the receipt. */
const lateMsMax = 500;

/** Returns a sentence for each promise about commands that was broken. */
export function commandViolations({ acts, logged, executions, otherSenders = [] }: CommandFacts): string[] {
  const violations: string[] = [];
  const counts = new Map<string, number>();
  for (const { id } of executions) counts.set(id, (counts.get(id) ?? 0) + 1);
  const finals = new Map<string, string>();
  for (const [id, all] of logged) {
    const found = transitionsOf(id, all);
    violations.push(...found.violations);
    finals.set(id, found.final);
  }
  for (const [id, final] of finals) violations.push(...executionViolations(id, final, counts.get(id) ?? 0));
  violations.push(...keyViolations(acts, logged, otherSenders));
  violations.push(...deviceViolations(executions, logged));
  return violations;
}

/** A command has the numbers from 1 without a gap, in their order, and one final state, which is the last one. */
function transitionsOf(id: string, all: readonly LoggedCommand[]): { violations: string[]; final: string } {
  const violations: string[] = [];
  const known = new Map<number, string>();
  let final = '';
  for (const { transition, isFinal } of all) {
    const { number, state } = transition;
    const text = JSON.stringify(transition);
    if (known.has(number)) {
      // The outbox may append a record again.
      if (known.get(number) !== text) violations.push(`command ${id}: expected one transition ${number}, got two`);
      continue;
    }
    if (number !== known.size + 1)
      violations.push(`command ${id}: expected the transition ${known.size + 1}, got ${number} (${state})`);
    if (final !== '') violations.push(`command ${id}: expected nothing after ${final}, got ${state}`);
    if (isFinal) final = state;
    known.set(number, text);
  }
  if (final === '') violations.push(`command ${id}: expected a final state, got ${all.at(-1)?.transition.state}`);
  return { violations, final };
}

function executionViolations(id: string, final: string, count: number): string[] {
  const violations: string[] = [];
  if (count > 1) violations.push(`command ${id}: expected one execution, got ${count}`);
  if (final === 'done' && count === 0) violations.push(`command ${id} is done: expected an execution, got none`);
  if (['failed', 'expired', 'canceled'].includes(final) && count > 0)
    violations.push(`command ${id} is ${final}: expected no execution, got ${count}`);
  return violations;
}

/** A key is one command, and each command in the log was requested. */
function keyViolations(
  acts: readonly Act[],
  logged: ReadonlyMap<string, readonly LoggedCommand[]>,
  otherSenders: readonly string[],
): string[] {
  const violations: string[] = [];
  const ids = new Map<string, string>();
  for (const { kind, key, answers, subject } of acts) {
    if (kind !== 'command') continue;
    const distinct = new Set(answers);
    if (distinct.size > 1) violations.push(`key ${key}: expected one command, got ${[...distinct].join()}`);
    for (const id of distinct) {
      if (!logged.has(id)) violations.push(`key ${key}: expected the command ${id} in the log, got none`);
      ids.set(id, key);
    }
    ids.set(`${subject} ${key}`, key);
  }
  const keys = new Map<string, string>();
  for (const [id, [first]] of logged) {
    const { key = '', by = '' } = first!.transition;
    if (otherSenders.includes(by)) continue;
    if (!ids.has(`${by} ${key}`)) violations.push(`command ${id}: expected a key of the ledger, got ${key} of ${by}`);
    const other = keys.get(`${by} ${key}`);
    if (other !== undefined) violations.push(`key ${key}: expected one command, got ${other} and ${id}`);
    keys.set(`${by} ${key}`, id);
  }
  return violations;
}

/** No device executes what was not requested, after its deadline, or for a former holder of its lease. */
function deviceViolations(
  executions: readonly Execution[],
  logged: ReadonlyMap<string, readonly LoggedCommand[]>,
): string[] {
  const violations: string[] = [];
  const fences = new Map<string, number>();
  for (const { id, device, atMs, fence } of executions) {
    const deadline = logged.get(id)?.[0]?.transition.deadline;
    if (deadline === undefined) violations.push(`command ${id} at ${device}: expected it in the log, got none`);
    else if (atMs > deadline + lateMsMax)
      violations.push(
        `command ${id} at ${device}: expected an execution by ${deadline}, got ${atMs - deadline} ms later`,
      );
    const last = fences.get(device) ?? 0;
    if (fence !== 0 && fence < last)
      violations.push(`command ${id} at ${device}: expected a fencing token of at least ${last}, got ${fence}`);
    fences.set(device, Math.max(last, fence));
  }
  return violations;
}
