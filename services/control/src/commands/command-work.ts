import type { Bus, BusSubscription } from '@tailrace/bus/bus';
import type { Timer } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import { outcomePattern } from '@tailrace/protocol/command-subject';
import { type CommandOutcome, decodeCommandOutcome, isFinal } from '@tailrace/protocol/device-command';
import { type ErrorCode, tailraceErrorFrom } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { Batches } from '../batches.ts';
import type { ControlContext } from '../control-context.ts';
import type { ControlTracing } from '../control-tracing.ts';
import { leaseOver } from '../leases/lease-store.ts';
import { type Command, type CommandEvent, isUnsent } from './command.ts';
import { applyAll, type ChangedCommand, type CommandEvents, nextCheckOf, workTimes } from './command-acts.ts';
import { type CommandConditions, hasCondition } from './command-condition.ts';
import {
  claimDue,
  claimNextOf,
  findCommand,
  type NodeRequest,
  noteRequested,
  postpone,
  releaseCommands,
  removeFinal,
  wakeDevices,
  wakeForgotten,
} from './command-store.ts';
import { type FoundNode, IngestClient } from './ingest-client.ts';

const { SessionClaim, SessionState } = tailrace.v1;

/** Where ingest publishes the sessions that open and close (docs/PROTOCOL.md, "NATS"). */
const claimPattern = 'tailrace.v1.session.>';
const sweepMs = 500;
/** Commands that a process works on at once; beyond it, others stay due. */
const stepsMax = 200;
/** Opened sessions are collected for this time, ms, so that many devices that connect at once are one statement. */
const wakeMs = 50;
/** Of these devices; of further ones the commands wait for `workTimes.deviceMs`. */
const wakeDevicesMax = 10_000;
/** Nodes that a command is requested of, one after the other, while its device moves. */
const nodesMax = 3;
/** After a request that failed without a doubt, and may succeed later. */
const retryMs = 1_000;
/** How often final commands are removed, ms, and how many at once. */
const removeEveryMs = 10_000;
const removeRowsMax = 2_000;
const warningEveryMs = 60_000;

/** Replies after which a node may have received the command. All others are refusals by it. */
const doubtful: ReadonlySet<ErrorCode> = new Set(['unavailable', 'timeout', 'closed', 'internal', 'canceled']);

/** What has happened to a command, until it is applied. Then it has the outcomes that have come meanwhile, too. */
interface PendingEvents extends CommandEvents {
  events: readonly CommandEvent[];
}

export interface CommandWorkOptions {
  readonly context: ControlContext;
  readonly bus: Pick<Bus, 'request' | 'subscribe'>;
  readonly conditions: Pick<CommandConditions, 'assertMet'>;
  readonly tracing: Pick<ControlTracing, 'sent' | 'changed'>;
  /** How long after `unconfirmed` an outcome of the device is awaited, ms. */
  readonly resolveMs: number;
  /** How long final commands are kept, ms. */
  readonly retentionMs: number;
  /** Called with each command after a transition by this process. */
  readonly onChanged?: (command: Command) => void;
}

/**
 * Brings accepted commands to their devices, and follows what becomes of them. Each process of control works on any
 * command, after it has claimed it for 10 s.
 *
 * A command passes `#dispatch`, which finds the ingest node of its device and requests it there; `#onOutcome`, with
 * what the node publishes; and `#check`, which requests the outcome of a node if none has come, also after a restart.
 * The steps of one command follow each other. What several commands need at one moment is one statement or transaction.
 */
export class CommandWork {
  readonly #options: CommandWorkOptions;
  readonly #ingest: IngestClient;
  readonly #changes: Batches<PendingEvents, ChangedCommand>;
  readonly #requests: Batches<NodeRequest, boolean>;
  readonly #claims: Batches<string, Command | undefined>;
  readonly #subscriptions: BusSubscription[] = [];
  /** Devices of the commands that this process has requested or checked. */
  readonly #followed = new Map<string, string>();
  /** The last step of each command with steps. */
  readonly #steps = new Map<string, Promise<void>>();
  /** Outcomes that wait for a transaction: that of the step before them, or one of their own. A command has a few. */
  readonly #outcomes = new Map<string, CommandOutcome[]>();
  readonly #opened = new Set<string>();
  /** When the last sessions were opened, by the monotonic clock, ms. By device, the first one first. */
  readonly #openedMs = new Map<string, number>();
  readonly #warning: LimitedWarning;
  readonly #timers: Timer[] = [];
  #wakeTimer: Timer | undefined;
  #isSweeping = false;
  #isAgain = false;
  #isStopped = false;

  constructor(options: CommandWorkOptions) {
    this.#options = options;
    this.#ingest = new IngestClient(options.bus);
    const { logger, clock, database, worker } = options.context;
    this.#changes = new Batches({
      run: (items) => {
        for (const item of items) item.events = [...item.events, ...eventsOf(...this.#takeOutcomes(item.id))];
        return applyAll(options.context, items);
      },
    });
    this.#requests = new Batches({
      async run(items) {
        const noted = await noteRequested(database, items, worker, clock.now());
        return items.map(({ command }) => noted.has(command.id));
      },
    });
    this.#claims = new Batches({
      async run(devices) {
        const claimed = await claimNextOf(database, devices, worker, clock.now() + workTimes.claimMs);
        return devices.map((device) => claimed.find((command) => command.device === device));
      },
    });
    const sentence = 'commands cannot be worked on, retrying';
    this.#warning = new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
  }

  /** Commands whose outcome this process follows. */
  get followed(): number {
    return this.#followed.size;
  }

  /** Starts to work on due commands. */
  start(): void {
    const { clock } = this.#options.context;
    this.#timers.push(
      clock.every(sweepMs, () => this.sweep()),
      clock.every(workTimes.deviceMs, () => void this.#wakeForgotten()),
      clock.every(removeEveryMs, () => void this.#removeFinal()),
    );
    this.sweep();
  }

  /** Called when the bus is connected for the first time. Resolves when outcomes and sessions are received. */
  async subscribe(): Promise<void> {
    const { bus } = this.#options;
    const onOutcome = (payload: Uint8Array) => this.#onOutcome(decodeCommandOutcome(payload));
    const onClaim = (payload: Uint8Array) => this.#onClaim(payload);
    this.#subscriptions.push(
      ...(await Promise.all([bus.subscribe(outcomePattern, onOutcome), bus.subscribe(claimPattern, onClaim)])),
    );
  }

  /** Stops after the steps in progress. Other processes go on with the commands at once. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#wakeTimer?.cancel();
    for (const timer of this.#timers.splice(0)) timer.cancel();
    await Promise.all(this.#subscriptions.splice(0).map((subscription) => subscription.stop()));
    await Promise.allSettled(this.#steps.values());
    const { database, worker, clock } = this.#options.context;
    await releaseCommands(database, worker, clock.now()).catch(() => undefined);
  }

  /** Works on a command that this process has claimed. */
  take(command: Command): void {
    void this.#step(command.id, () => this.#work(command));
  }

  /** Works on the command of a device that waits behind another one, if its turn has come. */
  takeNext(device: string): void {
    // One after the other of a device, so that two of them do not claim the same command.
    void this.#step(`next of ${device}`, async () => {
      const next = await this.#claims.add(device);
      if (next !== undefined) this.take(next);
    });
  }

  /** Claims due commands now, and works on them. */
  sweep(): void {
    this.#isAgain = true;
    if (!this.#isSweeping) void this.#sweepAll();
  }

  /** Applies the outcome of a request about a command, such as its cancellation, in the order of its steps. */
  async outcomeOf(id: string, outcome: CommandOutcome): Promise<Command> {
    let result: Command | undefined;
    await this.#step(id, async () => {
      result = await this.#apply(id, eventsOf(outcome));
    });
    return result ?? (await findCommand(this.#options.context.database, id))!;
  }

  async #sweepAll(): Promise<void> {
    this.#isSweeping = true;
    const { database, clock, worker } = this.#options.context;
    try {
      while (this.#isAgain && !this.#isStopped) {
        this.#isAgain = false;
        const nowMs = clock.now();
        const rowsMax = stepsMax - this.#steps.size;
        if (rowsMax <= 0) return;
        const claim = { worker, nowMs, untilMs: nowMs + workTimes.claimMs, rowsMax };
        for (const command of await claimDue(database, claim)) this.take(command);
      }
    } catch (error) {
      if (!this.#isStopped) this.#warning.write(() => ({ error }));
    } finally {
      this.#isSweeping = false;
    }
  }

  /** Runs a step of a command after those before it. Never rejects. */
  #step(id: string, step: () => Promise<void>): Promise<void> {
    const run = async () => {
      if (this.#isStopped) return;
      try {
        await step();
      } catch (error) {
        // Its claim expires, and it is due again.
        if (!this.#isStopped) this.#warning.write(() => ({ error, command: id }));
      }
    };
    const next = (this.#steps.get(id) ?? Promise.resolve()).then(run);
    this.#steps.set(id, next);
    void next.then(() => {
      if (this.#steps.get(id) === next) this.#steps.delete(id);
    });
    return next;
  }

  async #work(command: Command): Promise<void> {
    const { deadline, isRequested, state, awaits, device } = command;
    if (isRequested || (state !== 'accepted' && state !== 'queued')) return await this.#check(command);
    if (deadline <= this.#options.context.clock.now()) {
      const missing = awaits === 'confirmation' ? 'confirmed' : 'sent';
      const message = `its deadline has passed: it was not ${missing}`;
      await this.#apply(command.id, [{ kind: 'deadline_passed', message }]);
    } else if (awaits !== 'confirmation') await this.#dispatch(command);
    this.takeNext(device);
  }

  /** Requests a command of the node that has its device, and of the next one if the device has moved. */
  async #dispatch(command: Command): Promise<void> {
    const { id, via, device } = command;
    const { database, worker, clock } = this.#options.context;
    const startedMs = clock.monotonic();
    let found = await this.#nodeOf(command);
    let current = command;
    for (let tries = 0; found !== undefined && tries < nodesMax; tries++) {
      if (!(await this.#isConditionMet(current))) return;
      this.#followed.set(id, command.device);
      if (!(await this.#requests.add({ command: current, node: found.node }))) {
        // Another process works on it, or a lease was granted meanwhile.
        await this.#isRefusedByLease(command);
        return;
      }
      const outcome = await this.#requested(current, found);
      if (outcome === undefined) return;
      current = await this.#apply(id, eventsOf(outcome));
      if (current.state !== 'queued') return;
      found = await this.#heldBy(current, outcome.holder);
      if (current.awaits === '' && found === undefined)
        return await postpone(database, id, worker, clock.now() + retryMs);
    }
    if (await this.#isRefusedByLease(command)) return;
    if (current.awaits === '')
      await this.#apply(id, [{ kind: 'device_away', message: `${via || device} has no session: it waits for one` }]);
    else await postpone(database, id, worker, Math.min(command.deadline, clock.now() + workTimes.deviceMs));
    // Its device has connected before it was stored that the command waits for that.
    if ((this.#openedMs.get(via || device) ?? Number.NEGATIVE_INFINITY) >= startedMs) this.#wakeLater(via || device);
  }

  /** Fails a command whose device is under the lease of another subject. */
  async #isRefusedByLease({ id, device, sender, fence }: Command): Promise<boolean> {
    const { database, clock } = this.#options.context;
    const lease = await leaseOver(database, device, clock.now());
    if (lease === undefined || (lease.holder === sender && (fence === 0 || fence >= lease.token))) return false;
    const message = `${device}: expected no other lease, got ${lease.scope} of ${JSON.stringify(lease.holder)}`;
    await this.#apply(id, [{ kind: 'refused', code: 'conflict', message }]);
    return true;
  }

  /** Fails a command whose condition does not hold any more. Without last values, it waits until its deadline. */
  async #isConditionMet(command: Command): Promise<boolean> {
    const { context, conditions } = this.#options;
    const { id, device } = command;
    if (!hasCondition(command)) return true;
    try {
      await conditions.assertMet(device, command);
      return true;
    } catch (thrown) {
      const { code, message, retryable } = tailraceErrorFrom(thrown);
      if (retryable) await postpone(context.database, id, context.worker, context.clock.now() + retryMs);
      else await this.#apply(id, [{ kind: 'refused', code, message }]);
      return false;
    }
  }

  /** Resolves with the node; undefined if none has the device, or it cannot be found out now. */
  async #nodeOf({ via, device, id }: Command): Promise<FoundNode | undefined> {
    const { clock, worker, database } = this.#options.context;
    try {
      return await this.#ingest.find(via || device);
    } catch (error) {
      this.#warning.write(() => ({ error, command: id }));
      await postpone(database, id, worker, clock.now() + retryMs);
      throw error;
    }
  }

  /** Resolves with the node that another one has named; undefined for none, or if it is not found there yet. */
  async #heldBy(command: Command, holder: string): Promise<FoundNode | undefined> {
    if (holder === '' || command.fence === 0) return holder === '' ? undefined : { node: holder, session: 0 };
    const found = await this.#nodeOf(command);
    return found?.node === holder ? found : undefined;
  }

  /** Resolves with the outcome of a request; undefined if the node may have received it, and has not replied. */
  async #requested(command: Command, found: FoundNode): Promise<CommandOutcome | undefined> {
    const { clock, database, worker } = this.#options.context;
    const span = this.#options.tracing.sent(command);
    const traceparent = span.traceparent || command.traceparent;
    try {
      return await this.#ingest.command({ ...command, traceparent }, found, clock.now());
    } catch (thrown) {
      span.fail(thrown);
      const { code, message } = tailraceErrorFrom(thrown);
      if (doubtful.has(code)) {
        await postpone(database, command.id, worker, clock.now() + retryMs);
        return undefined;
      }
      const { id, device } = command;
      const fields = { id, device, time: clock.now(), node: found.node, session: 0, attempt: 0, holder: '' };
      return { ...fields, state: 'failed', code, message };
    } finally {
      span.end();
    }
  }

  /** Requests what became of a command of the node that it was requested of. Nothing is sent to the device. */
  async #check(command: Command): Promise<void> {
    const { id, node, state, deadline } = command;
    const { context, resolveMs } = this.#options;
    const { database, clock, worker } = context;
    this.#followed.set(id, command.device);
    let current = command;
    try {
      current = await this.#apply(id, eventsOf(await this.#ingest.query(command, node)));
    } catch (thrown) {
      const { code, message } = tailraceErrorFrom(thrown);
      const isLate = clock.now() > deadline + workTimes.graceMs;
      if (code === 'not_found' || isLate) current = await this.#apply(id, [{ kind: 'lost', message }]);
    }
    const nowMs = clock.now();
    if (current.state === 'unconfirmed' && !current.isFinal && nowMs >= current.changed + resolveMs)
      current = await this.#apply(id, [{ kind: 'unresolved' }]);
    if (!current.isFinal && current.state === state) await postpone(database, id, worker, nextCheckOf(current, nowMs));
    else if (current.state === 'queued') this.sweep();
  }

  async #apply(id: string, events: readonly CommandEvent[]): Promise<Command> {
    const { context, onChanged, tracing } = this.#options;
    const startedMs = context.clock.monotonic();
    const item: PendingEvents = { id, events };
    const { before, after } = await this.#changes.add(item);
    if (after.isFinal) this.#followed.delete(id);
    if (after.number === before.number) return after;
    onChanged?.(after);
    if (item.events.at(-1)?.kind === 'outcome') tracing.changed(after, context.clock.monotonic() - startedMs);
    return after;
  }

  #onOutcome(outcome: CommandOutcome): void {
    const { id, device } = outcome;
    // A device may report in its next session, to another node: the process that follows it may have stopped.
    const isOther = outcome.attempt === 0 && outcome.session !== 0 && isFinal(outcome.state);
    const isFollowed = this.#followed.get(id) === device;
    if (this.#isStopped || !(isFollowed || isOther)) return;
    if (isFollowed && !isUnsent(outcome)) {
      this.#addOutcome(outcome);
      return;
    }
    void this.#step(id, async () => {
      const command = await findCommand(this.#options.context.database, id);
      if (command === undefined || command.device !== device || command.isFinal) return;
      if (!isUnsent(outcome)) await this.#apply(id, eventsOf(outcome));
      // It may be a late one of an earlier request. The node knows.
      else if (command.isRequested) await this.#check(command);
    });
  }

  /**
   * Applies an outcome together with those of the same command that come before its turn, and with what the step before
   * applies, such as the reply of the node: a device often answers before that has its transaction.
   */
  #addOutcome(outcome: CommandOutcome): void {
    const { id } = outcome;
    const waiting = this.#outcomes.get(id);
    if (waiting !== undefined) {
      waiting.push(outcome);
      return;
    }
    this.#outcomes.set(id, [outcome]);
    void this.#step(id, async () => {
      // Unless the step before has applied them.
      if (this.#outcomes.has(id)) await this.#apply(id, []);
    });
  }

  #takeOutcomes(id: string): readonly CommandOutcome[] {
    const outcomes = this.#outcomes.get(id) ?? [];
    this.#outcomes.delete(id);
    return outcomes;
  }

  #onClaim(payload: Uint8Array): void {
    const { device, state, fresh } = SessionClaim.decode(payload);
    if (this.#isStopped || state !== SessionState.SESSION_STATE_OPEN || !fresh || !device) return;
    this.#openedMs.delete(device);
    this.#openedMs.set(device, this.#options.context.clock.monotonic());
    if (this.#openedMs.size > wakeDevicesMax) this.#openedMs.delete(this.#openedMs.keys().next().value!);
    this.#wakeLater(device);
  }

  #wakeLater(device: string): void {
    if (this.#isStopped) return;
    if (this.#opened.size < wakeDevicesMax) this.#opened.add(device);
    this.#wakeTimer ??= this.#options.context.clock.after(wakeMs, () => void this.#wakeOpened());
  }

  async #wakeForgotten(): Promise<void> {
    const { database, clock } = this.#options.context;
    const nowMs = clock.now();
    await this.#quietly(() => wakeForgotten(database, nowMs, nowMs + workTimes.deviceMs));
  }

  /** Removes the oldest final commands, which is at most 200 a second. Never rejects. */
  async #removeFinal(): Promise<void> {
    const { database, clock } = this.#options.context;
    const beforeMs = clock.now() - this.#options.retentionMs;
    await this.#quietly(async () => {
      await removeFinal(database, beforeMs, removeRowsMax);
      return 0;
    });
  }

  async #wakeOpened(): Promise<void> {
    this.#wakeTimer = undefined;
    const { database, clock } = this.#options.context;
    const devices = [...this.#opened];
    this.#opened.clear();
    await this.#quietly(() => wakeDevices(database, devices, clock.now()));
  }

  /** Sweeps if commands are due now. Never rejects. */
  async #quietly(wake: () => Promise<number>): Promise<void> {
    try {
      if ((await wake()) > 0) this.sweep();
    } catch (error) {
      if (!this.#isStopped) this.#warning.write(() => ({ error }));
    }
  }
}

function eventsOf(...outcomes: readonly CommandOutcome[]): readonly CommandEvent[] {
  return outcomes.map((outcome) => ({ kind: 'outcome', outcome }));
}
