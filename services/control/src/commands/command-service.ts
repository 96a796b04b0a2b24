import { RateLimit } from '@tailrace/platform/rate-limit';
import { assertCommand, assertCommandId, commandLimits } from '@tailrace/protocol/device-command';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { entryOf } from '../audit/audit-entry.ts';
import { act, type ControlContext, orRefused } from '../control-context.ts';
import { assertMayCommand, assertMaySee, assertRole, maySee, type Requester } from '../requester.ts';
import type { Acceptance, CommandSubmission, SubmittedCommand } from './acceptance.ts';
import type { Command } from './command.ts';
import { afterEvents, applyEvents } from './command-acts.ts';
import { assertCondition, type CommandConditions, hasCondition } from './command-condition.ts';
import {
  type CommandFilter,
  countOpen,
  findCommandOf,
  listCommands,
  lockCommand,
  noteCanceled,
} from './command-store.ts';
import type { CommandWork } from './command-work.ts';
import type { IngestClient } from './ingest-client.ts';

export interface CommandServiceOptions {
  readonly context: ControlContext;
  readonly work: Pick<CommandWork, 'take' | 'takeNext' | 'sweep' | 'outcomeOf'>;
  readonly ingest: Pick<IngestClient, 'cancel'>;
  readonly acceptance: Pick<Acceptance, 'accept' | 'known' | 'dryRun'>;
  readonly conditions: Pick<CommandConditions, 'assertMet'>;
  /** Open commands of the installation. */
  readonly openMax: number;
  /** Commands of one subject a second; it may send those of ten seconds at once. */
  readonly subjectPerSecond: number;
  /** Whether nothing new is accepted, because the log is behind. */
  readonly isLogBehind: () => boolean;
}

/** Interval of the counts of all open commands, ms. */
const countEveryMs = 1_000;
/** Subjects whose rate is remembered; the one that came first is forgotten. */
const subjectsMax = 10_000;

/** What people do with commands: submit, cancel, confirm, read. The same beneath HTTP and the bus. */
export class CommandService {
  readonly #options: CommandServiceOptions;
  readonly #rate: RateLimit;
  readonly #rates = new Map<string, number>();
  #open = 0;
  #countedMs = Number.NEGATIVE_INFINITY;

  constructor(options: CommandServiceOptions) {
    this.#options = options;
    this.#rate = new RateLimit(options.subjectPerSecond, options.subjectPerSecond * 10);
  }

  /** Open commands at the last count, for metrics. */
  get open(): number {
    return this.#open;
  }

  /**
   * Accepts a command, durably, and starts to send it. Resolves with it; with the command that has the sender's key
   * already, in whichever state. Rejects with `forbidden`, `conflict` (a lease of another subject; the key of
   * another command; a condition that does not hold), `invalid_message`, `rate_limited`, `unavailable`: then nothing is
   * sent.
   */
  async submit(requester: Requester, submission: CommandSubmission): Promise<SubmittedCommand> {
    const { context, work, acceptance, isLogBehind } = this.#options;
    const { device, name, key } = submission;
    const nowMs = context.clock.now();
    this.#assertRate(requester.subject);
    // A sender that had no connection at its deadline asks what became of it.
    if (submission.deadline <= nowMs) {
      const known = await acceptance.known(requester, submission);
      if (known !== undefined) return known;
    }
    assertSubmission(submission, requester, nowMs);
    const refused = { action: 'command.refused', target: device, details: { key, name, params: submission.params } };
    return await orRefused(context, requester, refused, async () => {
      assertMayCommand(requester, device);
      if (submission.via !== '') assertMayCommand(requester, submission.via);
      if (isLogBehind())
        throw new TailraceError(
          'unavailable',
          'commands: expected a log that takes records, got one that is far behind',
        );
      await this.#assertOpen();
      if (submission.dryRun) return await this.#dryRun(requester, submission);
      const checked = await this.#checked(requester, submission);
      if (checked.known !== undefined) return checked.known;
      const { details } = checked;
      const { command, isClaimed, isRegistered } = await acceptance.accept({ requester, submission, details });
      if (isClaimed) work.take(command);
      // The one before it may have been sent since this one was accepted behind it.
      else work.takeNext(device);
      return { ...command, isRegistered };
    });
  }

  /**
   * Cancels a command. One that no node has is canceled at once. Of another one the node is requested not to send it;
   * what becomes of it follows. Resolves with the command as it is then. Rejects with `conflict` for one that is final.
   */
  async cancel(requester: Requester, idOrKey: string): Promise<Command> {
    const { context, ingest, work } = this.#options;
    const { id, device } = await this.#visible(requester, idOrKey);
    const refused = { action: 'command.refused', target: device, details: { command: id, requested: 'cancel' } };
    return await orRefused(context, requester, refused, async () => {
      assertMayCommand(requester, device);
      const command = await act(context, async (transaction) => {
        const locked = await lockCommand(transaction, id);
        if (locked.isFinal && locked.state !== 'canceled')
          throw new TailraceError('conflict', `command: expected one that is not final, got ${locked.state}`);
        const time = context.clock.now();
        if (!locked.isRequested) {
          const message = `canceled by ${requester.subject}`;
          return await afterEvents(transaction, time, locked, [{ kind: 'canceled', message }], requester);
        }
        await noteCanceled(transaction, id, requester.subject);
        const details = { command: id, state: locked.state };
        const entry = entryOf(requester, { time, action: 'command.cancel_requested', target: device, details });
        return { result: locked, acts: [{ key: device, entry }] };
      });
      if (command.isFinal) {
        work.takeNext(device);
        return command;
      }
      const outcome = await ingest.cancel(command, command.node).catch((error: unknown) => tailraceErrorFrom(error));
      return outcome instanceof TailraceError ? command : await work.outcomeOf(id, outcome);
    });
  }

  /**
   * Confirms a marked command as the second person. Rejects with `forbidden` for its sender, and for a requester
   * without the role `supervisor`; with `conflict` for a command that awaits no confirmation.
   */
  async confirm(requester: Requester, idOrKey: string): Promise<Command> {
    const { context, work } = this.#options;
    const { id, device } = await this.#visible(requester, idOrKey);
    const refused = { action: 'command.refused', target: device, details: { command: id, requested: 'confirm' } };
    return await orRefused(context, requester, refused, async () => {
      assertMayCommand(requester, device);
      assertRole(requester, 'supervisor');
      const { subject: approver } = requester;
      const command = await applyEvents(context, id, [{ kind: 'confirmed' }], requester, (locked) => {
        if (locked.awaits !== 'confirmation')
          throw new TailraceError('conflict', `command: expected one that awaits confirmation, got ${locked.state}`);
        if (locked.sender === approver)
          throw new TailraceError('forbidden', 'confirmation: expected a second person, got the sender');
        if (locked.deadline <= context.clock.now())
          throw new TailraceError('conflict', `command: expected a deadline ahead, got ${locked.deadline}`);
        return { approver };
      });
      work.sweep();
      return command;
    });
  }

  /**
   * Resolves with a command, by its ID or the sender's own key. Rejects with `not_found`, also for one of a device that
   * the requester may not see.
   */
  async find(requester: Requester, id: string): Promise<Command> {
    return await this.#visible(requester, id);
  }

  /** Resolves with commands of devices that the requester may see, the newest first. */
  async list(requester: Requester, filter: Omit<CommandFilter, 'visible'>): Promise<readonly Command[]> {
    if (filter.device !== undefined) assertMaySee(requester, filter.device);
    const visible = [...requester.subscribe, ...requester.command];
    return await listCommands(this.#options.context.database, { ...filter, visible });
  }

  async #visible(requester: Requester, id: string): Promise<Command> {
    const command = await findCommandOf(this.#options.context.database, id, requester.subject);
    if (command !== undefined && maySee(requester, command.device)) return command;
    throw new TailraceError('not_found', `command: expected the ID of one, got ${shown(id)}`);
  }

  /** Checks the condition of a submission, unless it is the repetition of a command. */
  async #checked(
    requester: Requester,
    submission: CommandSubmission,
  ): Promise<{ readonly known?: SubmittedCommand; readonly details: Readonly<Record<string, unknown>> }> {
    if (!hasCondition(submission)) return { details: {} };
    const { acceptance, conditions } = this.#options;
    const known = await acceptance.known(requester, submission);
    if (known !== undefined) return { known, details: {} };
    const { device, onlyIf, seen } = submission;
    return { details: { onlyIf, seen, read: await conditions.assertMet(device, submission) } };
  }

  /** Resolves with the command as it would be accepted. Its number is 0. */
  async #dryRun(requester: Requester, submission: CommandSubmission): Promise<SubmittedCommand> {
    const { known } = await this.#checked(requester, submission);
    if (known !== undefined) return known;
    return await this.#options.acceptance.dryRun(requester, submission);
  }

  async #assertOpen(): Promise<void> {
    const { openMax, context } = this.#options;
    const nowMs = context.clock.monotonic();
    if (nowMs - this.#countedMs >= countEveryMs) {
      this.#countedMs = nowMs;
      this.#open = await countOpen(context.database, openMax);
    }
    if (this.#open >= openMax)
      throw new TailraceError('limit_reached', `open commands: expected at most ${openMax}, got one more`, {
        retryable: true,
      });
  }

  #assertRate(subject: string): void {
    const nowMs = this.#options.context.clock.monotonic();
    const tat = this.#rate.take(this.#rates.get(subject) ?? 0, nowMs);
    if (tat === undefined)
      throw new TailraceError(
        'rate_limited',
        `commands: expected at most ${this.#rate.perSecond} a second of one subject, got one more`,
      );
    this.#rates.delete(subject);
    this.#rates.set(subject, tat);
    if (this.#rates.size > subjectsMax) this.#rates.delete(this.#rates.keys().next().value!);
  }
}

/** Throws `invalid_message` and `invalid_path` for a command that no device could get. */
function assertSubmission(submission: CommandSubmission, { subject, traceparent }: Requester, nowMs: number): void {
  const { key, device, via, name, params, qos, deadline, lease } = submission;
  const fields = { issued: nowMs, fence: lease, session: 0, subject, traceparent };
  assertCommandId(key);
  assertCommand({ id: key, device, via, name, params, qos, deadline, ...fields });
  const { lifetimeMsMax } = commandLimits;
  if (deadline <= nowMs || deadline > nowMs + lifetimeMsMax) {
    const expected = `a time after ${nowMs}, by at most ${lifetimeMsMax / 3_600_000} h, in ms since 1970`;
    throw new TailraceError('invalid_message', `deadline: expected ${expected}, got ${deadline}`);
  }
  assertCondition(submission);
}
