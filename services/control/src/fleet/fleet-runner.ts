import type { Timer } from '@tailrace/platform/clock';
import { tailraceErrorFrom } from '@tailrace/protocol/error';
import { controlItself } from '../audit/audit-entry.ts';
import type { CommandSubmission } from '../commands/acceptance.ts';
import { act, type ControlContext } from '../control-context.ts';
import type { Requester } from '../requester.ts';
import { type FleetCounts, type FleetState, type FleetStep, fleetLimits, stepOf } from './fleet-command.ts';
import { deviceKey } from './fleet-request.ts';
import { fleetAct } from './fleet-service.ts';
import {
  claimFleet,
  commandsToDecide,
  dueFleets,
  type FleetDevice,
  fleetCounts,
  nextDevices,
  noteRefused,
  noteTried,
  releaseFleet,
  removeFinalFleets,
  type StoredFleet,
  skipPending,
  storeFleetChange,
  tryLockFleet,
} from './fleet-store.ts';

/** How a fleet command submits its commands; `CommandService` has these. */
export interface FleetCommands {
  submit(requester: Requester, command: CommandSubmission): Promise<{ readonly id: string; readonly awaits: string }>;
  cancel(requester: Requester, id: string): Promise<unknown>;
  confirm(approver: Requester, id: string): Promise<unknown>;
}

export interface FleetRunnerOptions {
  readonly context: ControlContext;
  readonly commands: FleetCommands;
  /** How long final fleet commands are kept, ms. */
  readonly retentionMs: number;
}

/** Longest interval of polls, ms. */
const pollMs = 500;
/** Shortest one, ms, so that a high rate is submitted in batches. */
const pollMsMin = 100;
/** How long other processes leave a claimed fleet command alone, ms: its process may have stopped. */
const claimMs = 10_000;
/** Wait before the next attempt after an error that may pass, ms. */
const retryMs = 1_000;
const removeEveryMs = 60_000;
/** Fleet commands that this process works on at once, and submissions in progress of each. */
const concurrentMax = 4;
const submissionsMax = 16;
/** Commands that one step confirms or cancels. */
const decisionsMax = 200;

type PendingDevice = FleetDevice & { readonly triedMs: number | null };

/**
 * Works on fleet commands: submits the commands of their devices at the rate, and stops a fleet command of which too
 * many have failed. Any process continues any of them. A device gets one command: the transaction that accepts it also
 * records it at the device (migration 006), and its key follows from fleet command and place.
 */
export class FleetRunner {
  readonly #options: FleetRunnerOptions;
  readonly #working = new Map<string, Promise<void>>();
  readonly #timers: Timer[] = [];
  #timer: Timer | undefined;
  #polling: Promise<void> | undefined;
  #open = 0;
  #isAgain = false;
  #isStopped = false;

  constructor(options: FleetRunnerOptions) {
    this.#options = options;
  }

  /** Fleet commands that are not final, at the last poll. */
  get open(): number {
    return this.#open;
  }

  start(): void {
    const { clock } = this.#options.context;
    this.#timers.push(clock.every(removeEveryMs, () => void this.#remove()));
    this.wake();
  }

  /** Stops after the steps in progress. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    for (const timer of this.#timers.splice(0)) timer.cancel();
    await this.#polling;
    await Promise.all(this.#working.values());
  }

  /** Polls now. Never throws. */
  wake(): void {
    if (this.#isStopped) return;
    if (this.#polling !== undefined) {
      this.#isAgain = true;
      return;
    }
    this.#timer?.cancel();
    this.#polling = this.#poll();
  }

  /** Never rejects. */
  async #poll(): Promise<void> {
    const { database, clock, logger } = this.#options.context;
    let waitMs: number = pollMs;
    try {
      // All of them: `openMax` is a check, and not exact.
      const { due, nextMs, open } = await dueFleets(database, clock.now(), 2 * fleetLimits.openMax);
      this.#open = open;
      for (const id of due) this.#take(id);
      waitMs = Math.min(pollMs, nextMs - clock.now());
    } catch (error) {
      const level = tailraceErrorFrom(error).retryable ? 'debug' : 'error';
      logger[level]({ error }, 'fleet commands cannot be read, retrying');
    }
    this.#polling = undefined;
    if (this.#isStopped) return;
    const isAgain = this.#isAgain;
    this.#isAgain = false;
    this.#timer = clock.after(isAgain ? 0 : Math.max(pollMsMin, waitMs), () => this.wake());
  }

  #take(id: string): void {
    if (this.#isStopped || this.#working.has(id) || this.#working.size >= concurrentMax) return;
    this.#working.set(
      id,
      this.#work(id).then(() => void this.#working.delete(id)),
    );
  }

  /** Never rejects. */
  async #work(id: string): Promise<void> {
    const { database, logger, worker } = this.#options.context;
    try {
      const turn = await this.#turn(id);
      if (turn === undefined) return;
      await inBatches(turn.devices, submissionsMax, (device) => this.#submit(turn.fleet, device));
      await this.#decide(turn.fleet, turn.state);
    } catch (error) {
      const level = tailraceErrorFrom(error).retryable ? 'debug' : 'error';
      logger[level]({ error, fleet: id }, 'a fleet command cannot go on, retrying');
    } finally {
      await releaseFleet(database, id, worker).catch(() => undefined);
    }
  }

  /**
   * Decides the step that is due, and stores it as if its devices had their commands. Resolves with these devices;
   * undefined if another process works on the fleet command.
   */
  async #turn(
    id: string,
  ): Promise<
    { readonly fleet: StoredFleet; readonly state: FleetState; readonly devices: readonly PendingDevice[] } | undefined
  > {
    const { context } = this.#options;
    return await act(context, async (transaction) => {
      const nowMs = context.clock.now();
      const fleet = await tryLockFleet(transaction, id, context.worker, nowMs);
      if (fleet === undefined) return { result: undefined, acts: [] };
      const counts = (await fleetCounts(transaction, [id])).get(id)!;
      const { rate, stop } = fleet.request;
      const step = stepOf({ ...fleet, rate, stop }, counts, nowMs);
      const devices = step.starts > 0 ? await nextDevices(transaction, id, nowMs, step.starts) : [];
      // Those that wait for their next try do not use up the rate.
      const { nextMs, dueMs } =
        devices.length > 0 || step.starts === 0 ? step : { nextMs: fleet.nextMs, dueMs: nowMs + retryMs };
      const { transition } = step;
      if (transition !== undefined) {
        if (transition.state === 'stopped' || transition.state === 'canceled')
          await skipPending(transaction, id, nowMs);
        await storeFleetChange(transaction, fleet, transition, nowMs);
      }
      const { worker } = context;
      await claimFleet(transaction, id, { worker, untilMs: nowMs + claimMs, nextMs, dueMs });
      const state = transition?.state ?? fleet.state;
      return { result: { fleet, state, devices }, acts: actsOf(fleet, step, counts, nowMs) };
    });
  }

  /** Rejects with an error that passes; one of the command itself is recorded at its device. */
  async #submit(fleet: StoredFleet, { place, device, via, triedMs }: PendingDevice): Promise<void> {
    const { commands, context } = this.#options;
    const { database, clock } = context;
    const { name, params, qos, deviceTimeoutMs, lease, onlyIf = '' } = fleet.request;
    const nowMs = clock.now();
    try {
      await commands.submit(fleet.requester, {
        ...{ key: deviceKey(fleet.id, place), device, via, name, params, qos, deadline: nowMs + deviceTimeoutMs },
        ...{ lease, onlyIf, seen: {}, replaces: false, dryRun: false },
      });
    } catch (thrown) {
      const { code, message, retryable } = tailraceErrorFrom(thrown);
      // Too many commands wait for the device, or come from the sender.
      const isLate = triedMs !== null && nowMs >= triedMs + deviceTimeoutMs;
      if (code === 'rate_limited' && !isLate) await noteTried(database, fleet.id, place, nowMs, nowMs + retryMs);
      else if ((retryable && code !== 'rate_limited') || code === 'internal') throw thrown;
      else await noteRefused(database, fleet.id, place, { code, message, nowMs });
    }
  }

  /** Confirms the commands of a confirmed fleet command, or cancels those of one that has stopped. */
  async #decide(fleet: StoredFleet, state: FleetState): Promise<void> {
    const { commands, context } = this.#options;
    const { id, approver, canceler, requester, isMarked } = fleet;
    const isCanceled = state === 'stopped' || state === 'canceled';
    if (!isCanceled && (!isMarked || approver === null)) return;
    const ids = await commandsToDecide(context.database, id, isCanceled, decisionsMax);
    await inBatches(ids, submissionsMax, async (command) => {
      try {
        if (isCanceled) await commands.cancel(canceler ?? requester, command);
        else await commands.confirm(approver!, command);
      } catch (error) {
        // It is final meanwhile, or the person has lost the right: its state follows.
        if (tailraceErrorFrom(error).retryable) throw error;
      }
    });
  }

  /** Never rejects. */
  async #remove(): Promise<void> {
    const { database, clock, logger } = this.#options.context;
    try {
      await removeFinalFleets(database, clock.now() - this.#options.retentionMs);
    } catch (error) {
      logger.debug({ error }, 'old fleet commands cannot be removed, retrying');
    }
  }
}

/** Returns the audit entries of a step that stops or cancels a fleet command, or after which it is final. */
function actsOf(fleet: StoredFleet, { transition }: FleetStep, counts: FleetCounts, nowMs: number) {
  if (transition === undefined) return [];
  const { state, isFinal, message } = transition;
  const details = { state, message, devices: counts.byState };
  const isNamed = state !== fleet.state && state !== 'done';
  const acts = isNamed ? [fleetAct(controlItself, nowMs, `fleet.${state}`, fleet.id, details)] : [];
  if (isFinal) acts.push(fleetAct(controlItself, nowMs, 'fleet.finished', fleet.id, details));
  return acts;
}

/** Calls `each` for all items, at most `size` at once. Rejects with the first error, after the calls in progress. */
async function inBatches<T>(items: readonly T[], size: number, each: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += size) {
    const results = await Promise.allSettled(items.slice(at, at + size).map(each));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }
}
