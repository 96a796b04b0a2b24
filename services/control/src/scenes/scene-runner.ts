import { createHash } from 'node:crypto';
import type { Listening } from '@tailrace/database/database';
import type { Timer } from '@tailrace/platform/clock';
import type { CommandValue } from '@tailrace/protocol/device-command';
import { type TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { controlItself } from '../audit/audit-entry.ts';
import { Batches } from '../batches.ts';
import { act, type ControlContext } from '../control-context.ts';
import type { Act } from '../journal.ts';
import type { Requester } from '../requester.ts';
import type { ScenePlan } from './plan.ts';
import { type DeviceSnapshot, snapshotTags } from './restoration.ts';
import {
  type ActiveCommand,
  advance,
  createSceneRun,
  isRunFinal,
  notDone,
  type RunEvent,
  type SceneRun,
  workOf,
} from './scene-run.ts';
import {
  deleteOldRuns,
  dueRuns,
  failRun,
  findRuns,
  postponeRun,
  type RunChange,
  type RunCommand,
  releaseRuns,
  runChannel,
  runCommands,
  type StoredRun,
  storeRuns,
  tryLockRuns,
} from './scene-store.ts';
import { type Scenes, sceneAct, sceneRunOf } from './scenes.ts';

/** A command of a scene, as it is submitted. */
export interface SceneCommand {
  /** The same key of the same sender is the same command. */
  readonly key: string;
  readonly device: string;
  /** '': none. */
  readonly via: string;
  readonly name: string;
  readonly params: Readonly<Record<string, CommandValue>>;
  readonly qos: 1;
  /** Epoch ms. */
  readonly deadline: number;
  readonly lease: number;
  readonly onlyIf: '';
  readonly seen: Readonly<Record<string, number>>;
  readonly replaces: false;
  readonly dryRun: false;
}

/** How a run submits its commands; `CommandService` has these. */
export interface SceneCommands {
  submit(requester: Requester, command: SceneCommand): Promise<{ readonly id: string; readonly awaits: string }>;
  cancel(requester: Requester, id: string): Promise<unknown>;
  confirm(approver: Requester, id: string): Promise<unknown>;
}

/** Where the last values of devices come from. */
export interface LastValues {
  /**
   * Resolves with what is known of these tags, by device. A device that is not in the result is unavailable. Rejects if
   * nothing can be known now.
   */
  read(tags: ReadonlyMap<string, readonly string[]>): Promise<ReadonlyMap<string, DeviceSnapshot>>;
}

export interface SceneRunnerOptions {
  readonly context: ControlContext;
  readonly scenes: Pick<Scenes, 'plan'>;
  readonly commands: SceneCommands;
  readonly lastValues: LastValues;
}

export const runnerTimes = {
  /** At most between two polls for runs, if a notification is lost, ms. */
  pollMs: 1_000,
  /** A run is checked again after this time without a notification, ms. */
  checkMs: 15_000,
  /** After an error that may pass, ms. */
  retryMs: 1_000,
  /** A process that stops while it submits commands delays its run by at most this time, ms. */
  claimMs: 10_000,
  /** For the last values, before the first step, ms. */
  snapshotMs: 500,
  /** Between two deletions of old runs, ms. */
  cleanMs: 600_000,
} as const;

/** Runs that this process works on at once. Those of one moment are advanced in one transaction. */
const concurrentMax = 32;
/** Commands of one run that are submitted at once. */
const submissionsMax = 16;
/** Final runs that are kept, and those that one statement deletes. */
const keptRunsMax = 10_000;
const deletedRunsMax = 1_000;

/** Plan and snapshot of a run that has none yet. */
type PreparedRun = Pick<SceneRun, 'plan' | 'snapshot'>;

/** A run that is to be advanced. */
interface Pass {
  readonly id: string;
  readonly refusals: readonly RunEvent[];
  readonly prepared: PreparedRun | undefined;
}

/** What is to be submitted for a run. */
interface RunWork {
  readonly stored: StoredRun;
  readonly work: readonly ActiveCommand[];
  /** By key of the step. */
  readonly known: ReadonlyMap<string, RunCommand>;
  readonly isClaimed: boolean;
}

/**
 * Works on the runs of scenes: prepares them, submits what `workOf` requests, and applies what has become of the
 * commands. Any process may work on any run, and two on the same one: a run is changed under a lock of its row, and a
 * command is submitted under a key that follows from run and step. It is woken by notifications of the database.
 */
export class SceneRunner {
  readonly #options: SceneRunnerOptions;
  readonly #reads: Batches<string, StoredRun | undefined>;
  readonly #passes: Batches<Pass, RunWork | undefined>;
  readonly #releases: Batches<string, string>;
  /** By run. */
  readonly #working = new Map<string, Promise<void>>();
  readonly #again = new Set<string>();
  #listening: Listening | undefined;
  #timer: Timer | undefined;
  #cleaning: Timer | undefined;
  #polling: Promise<void> | undefined;
  #isStopped = false;

  constructor(options: SceneRunnerOptions) {
    this.#options = options;
    const { database, worker } = options.context;
    this.#reads = new Batches({
      async run(ids) {
        const found = await findRuns(database, ids);
        return ids.map((id) => found.get(id));
      },
    });
    this.#passes = new Batches({ run: (passes) => this.#advanceAll(passes) });
    this.#releases = new Batches({
      async run(ids) {
        await releaseRuns(database, ids, worker);
        return ids;
      },
    });
  }

  /** Runs that this process works on now. */
  get active(): number {
    return this.#working.size;
  }

  async start(): Promise<void> {
    const { database, clock } = this.#options.context;
    const onNotification = (id: string) => (id === '' ? this.#poll() : this.#take(id));
    this.#listening = await database.listen(runChannel, { onNotification, onReconnect: () => this.#poll() });
    this.#cleaning = clock.every(runnerTimes.cleanMs, () => void this.#clean());
    this.#poll();
  }

  /** Stops to take runs, and waits for those in progress. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#cleaning?.cancel();
    await this.#listening?.stop();
    await this.#polling;
    await Promise.all(this.#working.values());
  }

  /** Polls for runs that are due, then again when the next one is. Never throws. */
  #poll(): void {
    if (this.#polling !== undefined || this.#isStopped) return;
    this.#timer?.cancel();
    const { database, clock, logger } = this.#options.context;
    const pass = async () => {
      let waitMs: number = runnerTimes.pollMs;
      try {
        const { due, nextMs } = await dueRuns(database, clock.now(), 4 * concurrentMax);
        for (const id of due) this.#take(id);
        waitMs = Math.max(1, Math.min(waitMs, nextMs - clock.now()));
      } catch (error) {
        const level = tailraceErrorFrom(error).retryable ? 'debug' : 'error';
        logger[level]({ error }, 'runs of scenes cannot be read, retrying');
      }
      this.#polling = undefined;
      if (!this.#isStopped) this.#timer = clock.after(waitMs, () => this.#poll());
    };
    this.#polling = pass();
  }

  #take(id: string): void {
    if (this.#isStopped) return;
    if (this.#working.has(id)) {
      this.#again.add(id);
      return;
    }
    // The poll takes it.
    if (this.#working.size >= concurrentMax) return;
    const work = this.#work(id).then(() => {
      this.#working.delete(id);
      if (this.#again.delete(id)) this.#take(id);
      else if (this.#working.size === concurrentMax - 1) this.#poll();
    });
    this.#working.set(id, work);
  }

  /** Never rejects. */
  async #work(id: string): Promise<void> {
    const { context } = this.#options;
    try {
      let refusals: readonly RunEvent[] = [];
      // Each pass submits what a refusal has started; a scene has at most 500 steps.
      for (let n = 0; n < 1_000; n++) {
        const step = await this.#advance(id, refusals);
        if (step === undefined) return;
        refusals = await this.#submit(step.stored, step.work, step.known);
        if (refusals.length > 0) continue;
        // What becomes of its commands wakes it, also what has already.
        if (step.isClaimed) await this.#releases.add(id);
        return;
      }
    } catch (error) {
      const level = tailraceErrorFrom(error).retryable ? 'debug' : 'error';
      context.logger[level]({ error, run: id }, 'a run of a scene cannot go on, retrying');
      await postponeRun(context.database, id, context.clock.now() + runnerTimes.retryMs).catch(() => undefined);
    }
  }

  /**
   * Applies what has become of the commands of a run, and stores it. Resolves with what is to be submitted; undefined
   * if the run is final, or another process works on it.
   */
  async #advance(id: string, refusals: readonly RunEvent[]): Promise<RunWork | undefined> {
    const prepared = await this.#prepared(id);
    return prepared === 'failed' ? undefined : await this.#passes.add({ id, refusals, prepared });
  }

  async #advanceAll(passes: readonly Pass[]): Promise<readonly (RunWork | undefined)[]> {
    const { context } = this.#options;
    return await act(context, async (transaction) => {
      const nowMs = context.clock.now();
      const ids = passes.map(({ id }) => id);
      const locked = await tryLockRuns(transaction, ids, context.worker, nowMs);
      const runs = passes.map((pass) => lockedRun(locked.get(pass.id), pass));
      const keys = runs.flatMap((run) => (run === undefined ? [] : keysOf(run.stored, run.before)));
      const commands = await runCommands(transaction, keys);
      const changes: RunChange[] = [];
      const acts: Act[] = [];
      const result = runs.map((found, index): RunWork | undefined => {
        if (found === undefined) return undefined;
        const { stored, before } = found;
        const known = new Map(
          keysOf(stored, before).flatMap(({ step, key }) => {
            const command = commands.get(key);
            return command === undefined ? [] : [[step, command] as const];
          }),
        );
        let { run, wakeMs = Number.POSITIVE_INFINITY } = advance(before, { kind: 'resume' }, nowMs);
        for (const event of [...passes[index]!.refusals, ...eventsOf(known)])
          ({ run, wakeMs = Number.POSITIVE_INFINITY } = advance(run, event, nowMs));
        const isFinal = isRunFinal(run.state);
        const work = workOf(run);
        // Two processes would submit the same commands: without harm, and with refusals in the audit.
        const isClaimed = work.some((each) => each.isCanceled || !known.has(each.key));
        const claim = { worker: isClaimed ? context.worker : '', untilMs: nowMs + runnerTimes.claimMs };
        changes.push({ run, isFinal, nowMs, dueMs: Math.min(wakeMs, nowMs + runnerTimes.checkMs), claim });
        if (isFinal) acts.push(finishedAct(run, nowMs));
        return isFinal ? undefined : { stored, work, known, isClaimed };
      });
      await storeRuns(transaction, changes);
      return { result, acts };
    });
  }

  /** Submits and cancels. Resolves with the events of what was refused. Rejects for an error that may pass. */
  async #submit(
    stored: StoredRun,
    work: readonly ActiveCommand[],
    known: ReadonlyMap<string, RunCommand>,
  ): Promise<readonly RunEvent[]> {
    const events: RunEvent[] = [];
    for (let at = 0; at < work.length; at += submissionsMax) {
      const batch = work.slice(at, at + submissionsMax);
      const results = await Promise.allSettled(batch.map((each) => this.#submitOne(stored, each, known.get(each.key))));
      for (const result of results)
        if (result.status === 'rejected') throw result.reason;
        else if (result.value !== undefined) events.push(result.value);
    }
    return events;
  }

  async #submitOne(
    stored: StoredRun,
    command: ActiveCommand,
    known: RunCommand | undefined,
  ): Promise<RunEvent | undefined> {
    const { commands, context } = this.#options;
    const { requester, approver, lease } = stored;
    const { key, device, via, command: name, params, startedMs, timeoutMs, isCanceled } = command;
    try {
      if (known !== undefined) {
        if (isCanceled && !known.isFinal && known.cancelBy === '') await commands.cancel(requester, known.id);
        if (known.awaits === 'confirmation') await this.#confirm(approver, known.id);
        return undefined;
      }
      if (isCanceled) return { kind: 'command', key, state: 'canceled' };
      const deadline = startedMs + timeoutMs;
      // No process has submitted it in its time.
      if (deadline <= context.clock.now()) return { kind: 'command', key, state: 'expired', code: 'timeout' };
      const accepted = await commands.submit(requester, {
        ...{ key: commandKey(stored.id, key), device, via, name, params, deadline, lease },
        ...{ qos: 1, onlyIf: '', seen: {}, replaces: false, dryRun: false },
      });
      if (accepted.awaits === 'confirmation') await this.#confirm(approver, accepted.id);
      return undefined;
    } catch (error) {
      const { code, message, retryable } = tailraceErrorFrom(error);
      if (retryable || code === 'internal') throw error;
      // A command that was canceled or confirmed meanwhile: its state follows.
      if (known !== undefined) return undefined;
      return { kind: 'command', key, state: 'failed', code, message };
    }
  }

  /** The person who has confirmed the run has confirmed its commands. */
  async #confirm(approver: Requester | null, id: string): Promise<void> {
    if (approver === null) return;
    try {
      await this.#options.commands.confirm(approver, id);
    } catch (error) {
      // It was confirmed or canceled meanwhile, or the person has lost the right: its state follows.
      if (tailraceErrorFrom(error).retryable) throw error;
    }
  }

  /**
   * Resolves with plan and snapshot of a run that has none yet; undefined if it has; `failed` if it cannot have a plan.
   * Rejects for an error that may pass.
   */
  async #prepared(id: string): Promise<PreparedRun | 'failed' | undefined> {
    const { scenes } = this.#options;
    const stored = await this.#reads.add(id);
    if (stored?.state !== 'preparing') return undefined;
    try {
      const plan = stored.plan ?? (await scenes.plan(stored.requester, stored.scene, stored.params));
      return { plan, snapshot: await this.#snapshot(plan) };
    } catch (thrown) {
      const error = tailraceErrorFrom(thrown);
      if (error.retryable || error.code === 'internal') throw thrown;
      await this.#fail(stored, error);
      return 'failed';
    }
  }

  async #fail(stored: StoredRun, { code, message }: TailraceError): Promise<void> {
    const { context } = this.#options;
    await act(context, async (transaction) => {
      const nowMs = context.clock.now();
      const locked = (await tryLockRuns(transaction, [stored.id], context.worker, nowMs)).get(stored.id);
      if (locked?.state !== 'preparing') return { result: undefined, acts: [] };
      await failRun(transaction, stored.id, { code, message }, nowMs);
      const details = { run: stored.id, state: 'failed', code, message };
      return { result: undefined, acts: [sceneAct(controlItself, nowMs, 'scene.run_finished', stored.scene, details)] };
    });
  }

  /** Without last values, nothing is known of what was before: the run starts all the same. */
  async #snapshot(plan: ScenePlan): Promise<SceneRun['snapshot']> {
    const { lastValues, context } = this.#options;
    const tags = snapshotTags(plan);
    if (tags.size === 0) return {};
    try {
      return Object.fromEntries(await lastValues.read(tags));
    } catch (error) {
      context.logger.warn({ error, scene: plan.scene }, 'the values from before a run of a scene are unknown');
      return {};
    }
  }

  /** Never rejects. */
  async #clean(): Promise<void> {
    const { database, logger } = this.#options.context;
    try {
      while (!this.#isStopped && (await deleteOldRuns(database, keptRunsMax, deletedRunsMax)) === deletedRunsMax);
    } catch (error) {
      const level = tailraceErrorFrom(error).retryable ? 'debug' : 'error';
      logger[level]({ error }, 'old runs of scenes cannot be deleted');
    }
  }
}

/** Returns the sender's key of a command. The trigger of the table of commands reads the run from it. */
export function commandKey(run: string, step: string): string {
  return `scene/${run}/${createHash('sha256').update(step).digest('hex').slice(0, 16)}`;
}

/** Returns a locked run with its state; undefined: it cannot be advanced now. */
function lockedRun(
  stored: StoredRun | undefined,
  { prepared }: Pass,
): { readonly stored: StoredRun; readonly before: SceneRun } | undefined {
  if (stored === undefined) return undefined;
  const { id, requester } = stored;
  const before =
    sceneRunOf(stored) ?? (prepared && createSceneRun(id, prepared.plan, requester.subject, prepared.snapshot));
  return before && { stored, before };
}

/** Returns the keys of the commands that a run waits for. */
function keysOf(
  { id, requester }: StoredRun,
  run: SceneRun,
): readonly { readonly step: string; readonly sender: string; readonly key: string }[] {
  return workOf(run).map(({ key }) => ({ step: key, sender: requester.subject, key: commandKey(id, key) }));
}

function eventsOf(commands: ReadonlyMap<string, RunCommand>): readonly RunEvent[] {
  return [...commands].flatMap(([key, { state, awaits, isFinal, code, message }]): readonly RunEvent[] => {
    const why = { ...(code === '' ? {} : { code }), ...(message === '' ? {} : { message }) };
    if (isFinal) return [{ kind: 'command', key, state: state as FinalState, ...why }];
    if (state === 'queued' && awaits === 'device') return [{ kind: 'command', key, state: 'queued' }];
    return state === 'sent' || state === 'delivered' ? [{ kind: 'command', key, state: 'sent' }] : [];
  });
}

type FinalState = 'done' | 'failed' | 'expired' | 'canceled' | 'unconfirmed';

function finishedAct(run: SceneRun, nowMs: number): Act {
  const undone = notDone(run).map(({ step, device, state, code }) => ({ step, device, state, code }));
  // An entry of the audit is bounded; the run has all of them.
  const details = {
    ...{ run: run.id, state: run.state, notDone: undone.slice(0, 20), notDoneCount: undone.length },
    ...(run.notReversed.length === 0 ? {} : { notReversed: run.notReversed.slice(0, 10) }),
  };
  return sceneAct(controlItself, nowMs, 'scene.run_finished', run.plan.scene, details);
}
