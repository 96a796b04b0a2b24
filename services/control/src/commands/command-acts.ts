import type { Queryable } from '@tailrace/database/database';
import type { TailraceError } from '@tailrace/protocol/error';
import { controlItself, entryOf } from '../audit/audit-entry.ts';
import { act, type ControlContext } from '../control-context.ts';
import type { Act } from '../journal.ts';
import type { Requester } from '../requester.ts';
import { type Command, type CommandEvent, changed, nextOf } from './command.ts';
import { commandEvent } from './command-message.ts';
import { lockCommand, lockCommands, noCommand, storeTransitions } from './command-store.ts';

/** When a command is worked on again, ms. */
export const workTimes = {
  /** Until another process may work on a command that was claimed. Above the deadline of all its requests. */
  claimMs: 10_000,
  /** A device that has opened a session, which was not received. */
  deviceMs: 30_000,
  /** Without an outcome, the first query; later ones wait as long as the command is in its state. */
  checkMs: 5_000,
  checkMsMax: 60_000,
  /** From the deadline until the last outcome of an ingest node, which waits 5 s for the device. */
  graceMs: 7_000,
} as const;

/** Of a command that nothing is done about any more. */
const neverMs = 8.64e15;

/** Characters of parameters that each audit entry of a command has. */
const repeatedParamsMax = 2_000;

/** Who changes a command, for the audit. */
export type Actor = Pick<Requester, 'subject' | 'tokenId' | 'address'>;

/**
 * Returns the act of a command's last transition: its audit entry, and its record for the log. `more`: further details
 * of the entry.
 */
export function actOf(command: Command, actor: Actor, more: Readonly<Record<string, unknown>> = {}): Act {
  const { id, key, device, name, params, sender, number, state, awaits, code, message, traceparent } = command;
  // The entry of the acceptance has them. Repeated in full, a person could not cancel a command with large ones.
  const repeated = number === 1 || JSON.stringify(params).length <= repeatedParamsMax ? { params } : {};
  const details = { command: id, key, name, ...repeated, sender, number, awaits, code, message, ...more };
  return {
    key: device,
    entry: entryOf(actor, { time: command.changed, action: `command.${state}`, target: device, details }),
    records: [{ topic: 'events', value: commandEvent(command), traceparent }],
  };
}

/** Returns when a command is worked on again after a transition. */
export function dueOf(command: Command, nowMs: number): number {
  if (command.isFinal) return neverMs;
  const { awaits, state, deadline } = command;
  if (awaits === 'confirmation') return deadline;
  if (awaits === 'device') return Math.min(deadline, nowMs + workTimes.deviceMs);
  return state === 'accepted' || state === 'queued' ? nowMs : nowMs + workTimes.checkMs;
}

/** Returns when a command without an outcome is checked again. */
export function nextCheckOf({ changed }: Command, nowMs: number): number {
  const { checkMs, checkMsMax } = workTimes;
  return nowMs + Math.min(checkMsMax, Math.max(checkMs, nowMs - changed));
}

/**
 * Applies events to a command, in one transaction with their audit entries and records. Resolves with the command
 * afterwards, which is the same if they change nothing. `change`: sets further fields.
 */
export async function applyEvents(
  context: ControlContext,
  id: string,
  events: readonly CommandEvent[],
  actor: Actor,
  change: (command: Command) => Partial<Command> = () => ({}),
): Promise<Command> {
  return await act(context, async (transaction) => {
    const command = await lockCommand(transaction, id);
    return await afterEvents(transaction, context.clock.now(), { ...command, ...change(command) }, events, actor);
  });
}

/** Stores the transitions that follow events, for a transaction that has locked the command. */
export async function afterEvents(
  transaction: Queryable,
  nowMs: number,
  command: Command,
  events: readonly CommandEvent[],
  actor: Actor,
): Promise<{ readonly result: Command; readonly acts: readonly Act[] }> {
  const transitions = transitionsAfter(command, events, nowMs);
  await storeTransitions(transaction, transitions, (last) => dueOf(last, nowMs));
  return { result: transitions.at(-1) ?? command, acts: transitions.map((each) => actOf(each, actor)) };
}

/** Returns the command after each event that changes it. */
export function transitionsAfter(command: Command, events: readonly CommandEvent[], nowMs: number): readonly Command[] {
  const transitions: Command[] = [];
  for (const event of events) {
    const last = transitions.at(-1) ?? command;
    const change = nextOf(last, event);
    if (change !== undefined) transitions.push(changed(last, change, nowMs));
  }
  return transitions;
}

/** What has happened to a command. */
export interface CommandEvents {
  readonly id: string;
  readonly events: readonly CommandEvent[];
}

/** A command before and after its events; the same if they change nothing. */
export interface ChangedCommand {
  readonly before: Command;
  readonly after: Command;
}

/**
 * Applies what has happened to several commands, as control itself, in one transaction. Resolves with the commands in
 * the order of the items, and with `not_found` instead of one that does not exist.
 */
export async function applyAll(
  context: ControlContext,
  items: readonly CommandEvents[],
): Promise<readonly (ChangedCommand | TailraceError)[]> {
  return await act(context, async (transaction) => {
    const ids = items.map(({ id }) => id);
    const commands = await lockCommands(transaction, ids);
    const nowMs = context.clock.now();
    const transitions: Command[] = [];
    const result = items.map(({ id, events }) => {
      const before = commands.get(id);
      if (before === undefined) return noCommand(id);
      const following = transitionsAfter(before, events, nowMs);
      const after = following.at(-1) ?? before;
      commands.set(id, after);
      transitions.push(...following);
      return { before, after };
    });
    await storeTransitions(transaction, transitions, (last) => dueOf(last, nowMs));
    return { result, acts: transitions.map((each) => actOf(each, controlItself)) };
  });
}
