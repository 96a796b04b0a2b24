import type { Queryable, Transaction } from '@tailrace/database/database';
import { isTailraceError, shown, TailraceError } from '@tailrace/protocol/error';
import { Batches } from '../batches.ts';
import { act, type ControlContext, type Done } from '../control-context.ts';
import type { Act } from '../journal.ts';
import { fenceFor, type Lease } from '../leases/lease.ts';
import type { Requester } from '../requester.ts';
import { type Command, isReplaced, isSameRequest } from './command.ts';
import { actOf, dueOf, transitionsAfter, workTimes } from './command-acts.ts';
import {
  factsOf,
  insertCommands,
  lockOpenOf,
  type NewCommand,
  type SubmissionFacts,
  storeTransitions,
} from './command-store.ts';
import type { MarkedCommands } from './marked-commands.ts';

/*
 * The acceptance of commands. Submissions of one moment are accepted in one transaction, in the order of the requests:
 * what is stored about them is read, each is decided on as if those before it were stored, and all are inserted.
 */

/** A command as its sender submits it. */
export interface CommandSubmission
  extends Pick<
    Command,
    'key' | 'device' | 'via' | 'name' | 'params' | 'qos' | 'deadline' | 'onlyIf' | 'seen' | 'replaces'
  > {
  /** Fencing token of the lease that the sender holds; 0 for none. */
  readonly lease: number;
  readonly dryRun: boolean;
}

/** A submission of a requester with the right to it. */
export interface Submitted {
  readonly requester: Requester;
  readonly submission: CommandSubmission;
  /** Of its condition, for the audit. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** A command as the answer of its submission has it. */
export interface SubmittedCommand extends Command {
  /**
   * Whether the registry has its device. A command for another one waits for its session all the same: it may connect
   * for the first time.
   */
  readonly isRegistered: boolean;
}

/** A command that is stored. */
export interface Accepted extends Pick<SubmittedCommand, 'isRegistered'> {
  readonly command: Command;
  /** Whether its turn is now, and this process has claimed it. */
  readonly isClaimed: boolean;
}

export interface AcceptanceOptions {
  readonly context: ControlContext;
  readonly marked: MarkedCommands;
  /** Open commands of one device. */
  readonly deviceOpenMax: number;
}

/** Submissions that wait for a transaction; beyond it further ones are refused with `limit_reached`. */
export const waitingSubmissionsMax = 1_000;

/** A submission that becomes a command. */
interface Decided {
  readonly item: Submitted;
  readonly entry: NewCommand;
  /** Commands that it replaces. */
  readonly replaced: readonly Command[];
}

/** Open commands of a device, while submissions are decided on. */
interface OpenCommands {
  open: number;
  /** Those that are sent before a later one may be. */
  waiting: number;
  /** For submissions that replace some of them; else none. */
  commands: Command[];
}

/** Accepts commands, durably. */
export class Acceptance {
  readonly #options: AcceptanceOptions;
  readonly #batches: Batches<Submitted, Accepted>;

  constructor(options: AcceptanceOptions) {
    this.#options = options;
    this.#batches = new Batches({ run: (items) => this.#acceptAll(items), waitingMax: waitingSubmissionsMax });
  }

  /** Submissions that wait for a transaction. */
  get waiting(): number {
    return this.#batches.waiting;
  }

  /**
   * Resolves with the command of a submission when it is stored; with the one that has the sender's key already.
   * Rejects with `conflict` for the key of another command and for the lease of another subject, with `rate_limited`
   * and `limit_reached`, and as the database does.
   */
  accept(item: Submitted): Promise<Accepted> {
    return this.#batches.add(item);
  }

  /** Resolves with the command that the sender has submitted under the key. Rejects with `conflict` for another one. */
  async known(requester: Requester, submission: CommandSubmission): Promise<SubmittedCommand | undefined> {
    const { context } = this.#options;
    const [facts] = await read(context.database, [{ requester, submission }], context.clock.now());
    const known = knownOf(submission, facts!);
    return known && { ...known, isRegistered: facts!.isRegistered };
  }

  /** Resolves with the command as it would be accepted. Its number is 0. Rejects with `conflict` for a lease. */
  async dryRun(requester: Requester, submission: CommandSubmission): Promise<SubmittedCommand> {
    const { context } = this.#options;
    const nowMs = context.clock.now();
    const [facts] = await read(context.database, [{ requester, submission }], nowMs);
    const { lease, isRegistered } = facts!;
    return { ...this.#commandOf(requester, submission, lease, nowMs), id: '', number: 0, position: 0, isRegistered };
  }

  async #acceptAll(items: readonly Submitted[]): Promise<readonly (Accepted | TailraceError)[]> {
    return await act(this.#options.context, (transaction) => this.#acceptIn(transaction, items));
  }

  async #acceptIn(
    transaction: Transaction,
    items: readonly Submitted[],
  ): Promise<Done<readonly (Accepted | TailraceError)[]>> {
    const nowMs = this.#options.context.clock.now();
    const facts = await read(transaction, items, nowMs);
    const open = await openOf(transaction, items, facts);
    const decisions = items.map((item, index) =>
      orError(() => this.#decide(item, facts[index]!, open.get(item.submission.device)!, nowMs)),
    );
    const decided = decisions.filter((each): each is Decided => 'entry' in each);
    const positions = await insertCommands(
      transaction,
      decided.map(({ entry }) => entry),
    );
    const isInserted = ({ entry }: Decided) => positions.has(entry.command.id);
    // The same sender has submitted them twice at once: the other one is stored now.
    const lostDecisions = decided.filter((each) => !isInserted(each));
    const lost = lostDecisions.map(({ item }) => item);
    const lostIds = new Set(lostDecisions.map(({ entry }) => entry.command.id));
    const lostFacts = new Map((await read(transaction, lost, nowMs)).map((each, index) => [lost[index]!, each]));
    // A command that replaces one of these was decided on as if that one were stored. Each submission by itself is not.
    if (decided.some((each) => isInserted(each) && each.replaced.some(({ id }) => lostIds.has(id))))
      throw new TailraceError('conflict', 'replaces: expected a command that is stored, got one whose key is used');
    const { acts, replaced } = await storeReplaced(transaction, decided.filter(isInserted), nowMs);
    const result = decisions.map((decision, index): Accepted | TailraceError => {
      if (!('entry' in decision)) return decision;
      const { command, worker } = decision.entry;
      const position = positions.get(command.id);
      const item = items[index]!;
      const { isRegistered } = facts[index]!;
      if (position === undefined)
        return orError(() => {
          const stored = knownOf(item.submission, lostFacts.get(item)!)!;
          return { command: stored, isRegistered, isClaimed: false };
        });
      return { command: { ...command, position }, isRegistered, isClaimed: worker !== '' && !replaced.has(command.id) };
    });
    return { result, acts };
  }

  /** Returns the command that a submission becomes, or that it is already. Throws `conflict` and `rate_limited`. */
  #decide(item: Submitted, facts: SubmissionFacts, device: OpenCommands, nowMs: number): Decided | Accepted {
    const { requester, submission } = item;
    const known = knownOf(submission, facts);
    if (known !== undefined) return { command: known, isRegistered: facts.isRegistered, isClaimed: false };
    const { deviceOpenMax, context } = this.#options;
    const command = this.#commandOf(requester, submission, facts.lease, nowMs);
    const replaced = submission.replaces ? device.commands.filter((each) => isReplaced(each, command)) : [];
    if (device.open - replaced.length >= deviceOpenMax)
      throw new TailraceError(
        'rate_limited',
        `commands of one device: expected at most ${deviceOpenMax}, got one more`,
      );
    device.open -= replaced.length;
    device.waiting -= replaced.filter(({ awaits }) => awaits !== 'confirmation').length;
    device.commands = device.commands.filter((each) => !replaced.includes(each));
    const isClaimed = device.waiting === 0 && command.awaits === '';
    device.open++;
    if (command.awaits === '') device.waiting++;
    device.commands.push({ ...command, position: 0 });
    // Behind another one it is due when that one was sent, and at its deadline.
    const entry = isClaimed
      ? { command, worker: context.worker, dueMs: nowMs + workTimes.claimMs }
      : { command, worker: '', dueMs: command.deadline };
    return { item, entry, replaced };
  }

  /** Returns the command of a submission. Throws `conflict` if another subject has the lease. */
  #commandOf(
    { subject, traceparent }: Requester,
    submission: CommandSubmission,
    lease: Lease | undefined,
    nowMs: number,
  ): Omit<Command, 'position'> {
    const { key, device, via, name, params, qos, deadline, replaces, onlyIf, seen } = submission;
    const { context, marked } = this.#options;
    const fence = fenceFor({ device, sender: subject, token: submission.lease }, lease, nowMs);
    return {
      ...{ id: context.uniqueId(), sender: subject, key, device, via, name, params, qos, deadline },
      ...{ accepted: nowMs, fence, replaces, onlyIf, seen, traceparent, approver: '', state: 'accepted' },
      ...{ awaits: marked.isMarked(device, name) ? 'confirmation' : '', isFinal: false, number: 1, changed: nowMs },
      ...{ code: '', message: '' },
      ...{ confirmedBy: '', before: undefined, after: undefined, isRequested: false, node: '', cancelBy: '' },
    };
  }
}

function read(
  queryable: Queryable,
  items: readonly Pick<Submitted, 'requester' | 'submission'>[],
  nowMs: number,
): Promise<readonly SubmissionFacts[]> {
  const keys = items.map(({ requester, submission: { key, device } }) => ({ sender: requester.subject, key, device }));
  return factsOf(queryable, keys, nowMs);
}

/** Returns the command that has the key already. Throws `conflict` if it is another one. */
function knownOf(submission: CommandSubmission, { known }: SubmissionFacts): Command | undefined {
  if (known === undefined || isSameRequest(known, submission)) return known;
  throw new TailraceError(
    'conflict',
    `id: expected a new one, got ${shown(submission.key)}, which a command with another content has`,
  );
}

/** Resolves with the open commands of the devices; locked, where a submission replaces some of them. */
async function openOf(
  transaction: Queryable,
  items: readonly Submitted[],
  facts: readonly SubmissionFacts[],
): Promise<ReadonlyMap<string, OpenCommands>> {
  const devices = new Map<string, OpenCommands>();
  for (const [index, { submission }] of items.entries()) {
    const { open, waiting } = facts[index]!;
    devices.set(submission.device, { open, waiting, commands: [] });
  }
  const replacing = new Set(
    items.filter(({ submission }) => submission.replaces).map((each) => each.submission.device),
  );
  for (const command of await lockOpenOf(transaction, [...replacing]))
    devices.get(command.device)!.commands.push(command);
  return devices;
}

/** Cancels what accepted commands replace. Resolves with all acts, and with the IDs of the canceled commands. */
async function storeReplaced(
  transaction: Queryable,
  accepted: readonly Decided[],
  nowMs: number,
): Promise<{ readonly acts: readonly Act[]; readonly replaced: ReadonlySet<string> }> {
  const acts: Act[] = [];
  const transitions: Command[] = [];
  for (const { item, entry, replaced } of accepted) {
    const { requester, details } = item;
    const message = `replaced by ${entry.command.id}`;
    const canceled = replaced.flatMap((each) => transitionsAfter(each, [{ kind: 'canceled', message }], nowMs));
    transitions.push(...canceled);
    acts.push(
      ...canceled.map((each) => actOf(each, requester)),
      actOf({ ...entry.command, position: 0 }, requester, details),
    );
  }
  await storeTransitions(transaction, transitions, (last) => dueOf(last, nowMs));
  return { acts, replaced: new Set(transitions.map(({ id }) => id)) };
}

function orError<T>(decide: () => T): T | TailraceError {
  try {
    return decide();
  } catch (error) {
    if (isTailraceError(error)) return error;
    throw error;
  }
}
