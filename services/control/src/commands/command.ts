import { commandContentOf } from '@tailrace/protocol/command-content';
import type { CommandOutcome, CommandValue, ConfirmedBy } from '@tailrace/protocol/device-command';
import type { ErrorCode } from '@tailrace/protocol/error';

/*
 * A command at control, from its acceptance to its one final state. Pure: the store loads a command, `nextOf` decides,
 * the store writes the transition with its audit entry and its record for the log in one transaction.
 *
 *   accepted ──▶ queued ──▶ sent ──▶ delivered ──▶ done | failed | expired
 *      │           │  ▲       │          │
 *      │           │  └───────┤          └──▶ unconfirmed (awaits outcome) ──▶ done | failed | expired | unconfirmed
 *      └───────────┴──▶ failed | expired | canceled
 *
 * - `accepted`: stored. With `awaits` `confirmation`: of a second person.
 * - `queued`: waits for its device, which has no session.
 * - `sent`: an ingest node has accepted it for the device. If the node proves that it was not sent, it is queued again.
 * - `delivered`: the device has it.
 * - `unconfirmed`: it may have been executed. While `awaits` is `outcome`, the device may still report; then it is
 *   final.
 *
 * What holds whatever process works on it, and whenever one of them stops:
 * - `isRequested` is durable before the command is requested of an ingest node. From then on it is requested of no
 *   other one, unless a node has replied that nothing was sent. So an ID is sent at most once, apart from the
 *   repetitions of one node to one device, which executes an ID once.
 * - A final state is never left.
 */

export const commandProgress = [
  ...(['accepted', 'queued', 'sent', 'delivered'] as const),
  ...(['done', 'failed', 'expired', 'canceled', 'unconfirmed'] as const),
] as const;
export type CommandProgress = (typeof commandProgress)[number];

/** How long a command may take, ms, unless it has a deadline. */
export const deadlineMsDefault = 10_000;

/** What a command waits for; '' for nothing. */
export type Awaits = '' | 'confirmation' | 'device' | 'outcome';

/** A command as the store has it. */
export interface Command {
  /** Of control; the device gets it as the ID of the command. */
  readonly id: string;
  /** Order of acceptance. */
  readonly position: number;
  /** Subject of the sender's token. */
  readonly sender: string;
  /** Of the sender: the same key is the same command. */
  readonly key: string;
  readonly device: string;
  /** The gateway in front of the device, which has the session; '' for none. */
  readonly via: string;
  readonly name: string;
  readonly params: Readonly<Record<string, CommandValue>>;
  readonly qos: 0 | 1 | 2;
  /** Epoch ms by the clock of control. */
  readonly deadline: number;
  readonly accepted: number;
  /** Fencing token of the lease under which it was accepted; 0 for none. */
  readonly fence: number;
  /** Whether it replaces earlier commands for the same parameters that were not sent. */
  readonly replaces: boolean;
  /** A CEL expression over the last values of the device, which must hold when it is sent; '' for none. */
  readonly onlyIf: string;
  /** By tag, the position of the last value that the sender has seen. */
  readonly seen: Readonly<Record<string, number>>;
  readonly traceparent: string;
  /** Subject of the second person; '' for none. */
  readonly approver: string;
  readonly state: CommandProgress;
  readonly awaits: Awaits;
  readonly isFinal: boolean;
  /** Of its last transition, from 1. */
  readonly number: number;
  /** Time of its last transition. */
  readonly changed: number;
  readonly code: ErrorCode | '';
  readonly message: string;
  readonly confirmedBy: ConfirmedBy | '';
  readonly before: CommandValue | undefined;
  readonly after: CommandValue | undefined;
  readonly isRequested: boolean;
  /** The ingest node of the last request; '' before it. */
  readonly node: string;
  /** Subject of the person who has canceled it while it was requested; '' for none. */
  readonly cancelBy: string;
}

/** What happens to a command. */
export type CommandEvent =
  | { readonly kind: 'confirmed' }
  | { readonly kind: 'device_away'; readonly message: string }
  | { readonly kind: 'outcome'; readonly outcome: CommandOutcome }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: 'canceled'; readonly message: string }
  | { readonly kind: 'deadline_passed'; readonly message: string }
  /** It was requested, and no node knows what became of it. */
  | { readonly kind: 'lost'; readonly message: string }
  /** The time for an outcome has passed. */
  | { readonly kind: 'unresolved' };

/** Fields of a command that a transition sets. */
export interface Change {
  readonly state: CommandProgress;
  readonly awaits: Awaits;
  readonly isFinal: boolean;
  readonly code: ErrorCode | '';
  readonly message: string;
  readonly confirmedBy: ConfirmedBy | '';
  readonly before: CommandValue | undefined;
  readonly after: CommandValue | undefined;
  /** False: no node has it, and it may be requested again. */
  readonly isRequested: boolean;
}

/** Order of the states before the final ones. An outcome that comes late does not go back. */
const ranks: Partial<Record<CommandProgress, number>> = {
  accepted: 0,
  queued: 1,
  sent: 2,
  delivered: 3,
  unconfirmed: 4,
};

/** Codes of a refusal after which the command may be requested again: nothing was sent, and the reason passes. */
const passingCodes: ReadonlySet<string> = new Set(['unavailable', 'rate_limited', 'conflict']);

/** Returns the transition that follows an event; undefined if there is none. */
export function nextOf(command: Command, event: CommandEvent): Change | undefined {
  if (command.isFinal) return undefined;
  const { isRequested, state } = command;
  switch (event.kind) {
    case 'confirmed':
      return command.awaits === 'confirmation' ? open('queued', '') : undefined;
    case 'device_away':
      if (isRequested || command.awaits !== '') return undefined;
      return open('queued', 'device', { code: 'unavailable', message: event.message });
    case 'outcome':
      return afterOutcome(command, event.outcome);
    case 'refused':
      return isRequested ? undefined : final('failed', event);
    case 'canceled':
      return isRequested ? undefined : final('canceled', { code: 'canceled', message: event.message });
    case 'deadline_passed':
      return isRequested ? undefined : final('expired', { code: 'timeout', message: event.message });
    case 'lost':
      if (!isRequested || state === 'unconfirmed') return undefined;
      return { ...open('unconfirmed', 'outcome', { code: 'timeout', message: event.message }), isRequested: true };
    case 'unresolved': {
      if (state !== 'unconfirmed') return undefined;
      const { code, message } = command;
      return final('unconfirmed', { code, message });
    }
  }
}

function afterOutcome(command: Command, outcome: CommandOutcome): Change | undefined {
  const rank = ranks[command.state]!;
  const { code = '', message, confirmedBy = '', before, after } = outcome;
  const fields: Partial<Change> = { code, message, confirmedBy, before, after };
  switch (outcome.state) {
    case 'accepted':
      return rank < ranks.sent! ? { ...open('sent', ''), isRequested: true } : undefined;
    case 'delivered':
      return rank < ranks.delivered! ? { ...open('delivered', ''), isRequested: true } : undefined;
    case 'unconfirmed':
      return rank < ranks.unconfirmed! ? { ...open('unconfirmed', 'outcome', fields), isRequested: true } : undefined;
    case 'done':
    case 'expired':
      return final(outcome.state, fields);
    case 'failed':
      return afterFailed(command, outcome, fields);
  }
}

function afterFailed(command: Command, outcome: CommandOutcome, fields: Partial<Change>): Change | undefined {
  if (!isUnsent(outcome)) return final('failed', fields);
  // Known already; or a contradiction, of which the device is the better witness.
  if (!command.isRequested || command.state === 'delivered') return undefined;
  if (command.state === 'unconfirmed') return final('failed', fields);
  if (outcome.code === 'canceled') return final('canceled', fields);
  if (!passingCodes.has(outcome.code ?? '')) return final('failed', fields);
  if (command.cancelBy !== '') return final('canceled', { code: 'canceled', message: 'canceled before it was sent' });
  // The fence of a newer holder, or an ID that another command has: neither passes.
  if (outcome.code === 'conflict' && outcome.holder === '') return final('failed', fields);
  return open('queued', outcome.code === 'unavailable' ? 'device' : '', {
    ...(outcome.code === undefined ? {} : { code: outcome.code }),
    message: outcome.message,
  });
}

/** Returns whether the node of the outcome proves that it has sent nothing to the device. */
export function isUnsent({ state, attempt, session }: CommandOutcome): boolean {
  return state === 'failed' && attempt === 0 && session === 0;
}

function open(state: CommandProgress, awaits: Awaits, fields: Partial<Change> = {}): Change {
  return { ...noFields, ...fields, state, awaits, isFinal: false, isRequested: false };
}

function final(state: CommandProgress, fields: Partial<Change>): Change {
  const { code = '', message = '', confirmedBy = '', before, after } = fields;
  return { state, awaits: '', isFinal: true, isRequested: true, code, message, confirmedBy, before, after };
}

const noFields = { code: '', message: '', confirmedBy: '', before: undefined, after: undefined } as const;

/** Returns the command after a transition at `nowMs`. */
export function changed(command: Command, change: Change, nowMs: number): Command {
  const isRequested = change.isFinal ? command.isRequested : change.isRequested;
  return { ...command, ...change, isRequested, number: command.number + 1, changed: nowMs };
}

/** Returns whether two commands request the same of the same device, under the same condition. */
export function isSameRequest(a: RequestContent, b: RequestContent): boolean {
  return commandContentOf(a) === commandContentOf(b) && conditionText(a) === conditionText(b);
}

type RequestContent = Pick<Command, 'device' | 'name' | 'params' | 'onlyIf' | 'seen'>;

function conditionText({ onlyIf, seen }: RequestContent): string {
  return JSON.stringify([onlyIf, Object.entries(seen).sort(([a], [b]) => (a < b ? -1 : 1))]);
}

/** Returns whether a command sets the same as an earlier one, which it replaces. */
export function isReplaced(
  earlier: Pick<Command, 'device' | 'name' | 'params' | 'isRequested' | 'isFinal'>,
  by: Pick<Command, 'device' | 'name' | 'params'>,
): boolean {
  if (earlier.isRequested || earlier.isFinal || earlier.device !== by.device || earlier.name !== by.name) return false;
  const names = (params: object) => Object.keys(params).sort().join('\n');
  return names(earlier.params) === names(by.params);
}
