import type { Transaction } from '@tailrace/database/database';
import type { Metrics } from '@tailrace/platform/metrics';
import { controlItself } from '../audit/audit-entry.ts';
import type { ControlContext } from '../control-context.ts';
import type { Act } from '../journal.ts';
import { countActiveRuns, insertRun } from '../scenes/scene-store.ts';
import { activeRunsMax, newRunId, sceneAct } from '../scenes/scenes.ts';
import { decideTrigger, isTriggeredBy, type RaisedAlarm, type SkipReason, skipReasons } from './trigger.ts';
import {
  activeTriggers,
  lockActiveTriggers,
  type SkippedAlarms,
  type StoredTrigger,
  storeTriggered,
  triggersWithActiveRun,
} from './trigger-store.ts';
import { triggerAct } from './triggers.ts';

/** What alarms of one transaction have started. */
export interface TriggerOutcome {
  /** Entries of the audit. */
  readonly entries: number;
  readonly started: number;
  readonly skipped: readonly SkippedAlarms[];
}

/** Alarms that an entry of the audit names; further ones are counted. */
const namedAlarmsMax = 10;

type TakenAlarms = Omit<TriggerOutcome, 'entries'> & { readonly acts: readonly Act[] };

export interface TriggerRunsOptions {
  readonly context: Pick<ControlContext, 'journal' | 'wakeOutbox' | 'clock'>;
  readonly metrics: Metrics;
}

/**
 * Starts the runs of triggers, in the transaction that stores the transitions of alarms: so a raised alarm starts its
 * run once, whichever process reads it, and however often. The ID of the alarm is part of the key of its run, so that
 * the store refuses a second one.
 */
export class TriggerRuns {
  readonly #options: TriggerRunsOptions;
  readonly #started;
  readonly #skipped;

  constructor(options: TriggerRunsOptions) {
    this.#options = options;
    const { metrics } = options;
    this.#started = metrics.counter(
      'tailrace_control_triggered_runs_total',
      'Runs of scenes that were started by an alarm.',
    );
    this.#skipped = metrics.counters(
      'tailrace_control_skipped_triggers_total',
      'Raised alarms of triggers that started no run: too late, within the cooldown, with an active run, at the limit of runs.',
      { values: { reason: skipReasons } },
    );
  }

  /**
   * Adds the runs of raised alarms, with their audit entries and `others`, as the last statements of the transaction
   * but for the position. Call `committed` with the outcome after the commit. Rejects as the database does.
   */
  async take(
    transaction: Transaction,
    raised: readonly RaisedAlarm[],
    others: readonly Act[] = [],
  ): Promise<TriggerOutcome> {
    const { acts, ...outcome } = await this.#start(transaction, raised);
    const all = [...others, ...acts];
    if (all.length > 0) await this.#options.context.journal.append(transaction, all);
    return { ...outcome, entries: all.length };
  }

  async #start(transaction: Transaction, raised: readonly RaisedAlarm[]): Promise<TakenAlarms> {
    const acts: Act[] = [];
    const outcome = { started: 0, skipped: [] as SkippedAlarms[], acts };
    if (raised.length === 0) return outcome;
    const ids = (await activeTriggers(transaction))
      .filter((trigger) => raised.some((each) => isRaisedFor(trigger, each)))
      .map(({ id }) => id);
    if (ids.length === 0) return outcome;
    // Of two processes that read alarms of one trigger, one waits, and then finds the cooldown of the other.
    const triggers = await lockActiveTriggers(transaction, ids);
    const active = await triggersWithActiveRun(transaction, ids);
    let free = activeRunsMax - (await countActiveRuns(transaction, activeRunsMax));
    for (const trigger of triggers) {
      const taken = await this.#takeOf(trigger, {
        ...{ transaction, hasActiveRun: active.has(trigger.id), isFull: free <= 0 },
        raised: raised.filter((each) => isRaisedFor(trigger, each)),
      });
      free -= taken.started;
      outcome.started += taken.started;
      outcome.skipped.push(...taken.skipped);
      acts.push(...taken.acts);
    }
    return outcome;
  }

  /** Counts what was started, and wakes the outbox. */
  committed({ entries, started, skipped }: TriggerOutcome): void {
    if (entries === 0) return;
    this.#started.add(started);
    for (const { reason, count } of skipped) this.#skipped.with({ reason }).add(count);
    this.#options.context.wakeOutbox();
  }

  async #takeOf(
    trigger: StoredTrigger,
    alarms: {
      readonly transaction: Transaction;
      readonly raised: readonly RaisedAlarm[];
      readonly hasActiveRun: boolean;
      readonly isFull: boolean;
    },
  ): Promise<TakenAlarms> {
    const { transaction, raised, isFull } = alarms;
    let { hasActiveRun } = alarms;
    let startedMs = trigger.startedMs ?? undefined;
    const nowMs = this.#options.context.clock.now();
    const acts: Act[] = [];
    const skipped = new Map<SkipReason, RaisedAlarm[]>();
    let started = 0;
    for (const each of raised) {
      const decision = decideTrigger({ fields: trigger.fields, startedMs, hasActiveRun }, each, nowMs);
      const reason = decision === 'run' && isFull ? 'limit' : decision;
      if (reason !== 'run') {
        skipped.set(reason, [...(skipped.get(reason) ?? []), each]);
        continue;
      }
      const run = await insertTriggered(transaction, trigger, each, nowMs);
      // The alarm was read before, and has its run.
      if (run === undefined) continue;
      acts.push(run);
      started++;
      startedMs = nowMs;
      hasActiveRun = true;
    }
    const entries = [...skipped].map(([reason, list]) => skippedOf(reason, list));
    for (const [index, list] of [...skipped.values()].entries()) {
      const named = list.slice(0, namedAlarmsMax).map(({ notice }) => ({ alarm: notice.alarm, device: notice.device }));
      const details = { ...entries[index]!, alarms: named };
      acts.push(triggerAct(controlItself, nowMs, 'trigger.skipped', trigger.id, details));
    }
    await storeTriggered(transaction, {
      ...{ id: trigger.id, startedMs: startedMs ?? null },
      skipped: [...entries, ...trigger.skipped],
    });
    return { started, skipped: entries, acts };
  }
}

/** Whether an alarm is one of the trigger, and was appended after the last change of it. */
function isRaisedFor({ fields, changedMs }: StoredTrigger, { notice, appendedMs }: RaisedAlarm): boolean {
  return appendedMs >= changedMs && isTriggeredBy(fields, notice);
}

async function insertTriggered(
  transaction: Transaction,
  trigger: StoredTrigger,
  { notice }: RaisedAlarm,
  nowMs: number,
): Promise<Act | undefined> {
  const { id, tenant, requester, fields } = trigger;
  const { scene, params } = fields;
  const { alarm, device, rule } = notice;
  const run = newRunId();
  const isInserted = await insertRun(transaction, {
    ...{ id: run, scene, tenant, cause: 'alarm', requester, params, createdMs: nowMs },
    ...{ trigger: id, alarm: { id: alarm, device, rule }, key: `trigger/${id}/${alarm}` },
  });
  if (!isInserted) return undefined;
  const details = { run, cause: 'alarm', trigger: id, alarm, device, rule, subject: requester.subject };
  return sceneAct(controlItself, nowMs, 'scene.run_started', scene, details);
}

function skippedOf(reason: SkipReason, alarms: readonly RaisedAlarm[]): SkippedAlarms {
  const times = alarms.map(({ notice }) => notice.time);
  return { reason, count: alarms.length, firstMs: Math.min(...times), lastMs: Math.max(...times) };
}
