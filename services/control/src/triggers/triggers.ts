import type { Queryable } from '@tailrace/database/database';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { floodRuleId } from '@tailrace/rules/flood-limits';
import type { Rule } from '@tailrace/rules/rule';
import { type ActContext, act } from '../control-context.ts';
import { actsAbout } from '../journal.ts';
import { assertMaySee, assertRole, type Requester } from '../requester.ts';
import { maySeeRule } from '../rules/rule-service.ts';
import type { Scenes } from '../scenes/scenes.ts';
import { assertVersion, lockId, ownOf } from '../stored-by-id.ts';
import { type TriggerFields, triggerLimits } from './trigger.ts';
import {
  countTriggers,
  deleteTrigger,
  findTrigger,
  listTriggers,
  lockTrigger,
  type StoredTrigger,
  storeTrigger,
} from './trigger-store.ts';

export interface TriggersOptions {
  readonly context: ActContext;
  readonly scenes: Pick<Scenes, 'plan'>;
}

/** Triggers: what people request. `TriggerRuns` starts the runs. */
export class Triggers {
  readonly #options: TriggersOptions;

  constructor(options: TriggersOptions) {
    this.#options = options;
  }

  async list({ tenant }: Requester): Promise<readonly StoredTrigger[]> {
    return await listTriggers(this.#options.context.database, tenant);
  }

  /** Rejects with `not_found`, also for a trigger of another tenant. */
  async trigger(requester: Requester, id: string): Promise<StoredTrigger> {
    return ownOf(requester, 'trigger', id, await findTrigger(this.#options.context.database, id));
  }

  /**
   * Creates or changes a trigger; its runs have the rights of the requester from then on, and alarms from before start
   * none. Rejects with `invalid_message` for rules that do not exist, `forbidden` for devices that the requester may
   * not see, `conflict` for another version, `limit_reached`, and as `Scenes.plan` does for a scene that could not run
   * now.
   */
  async store(requester: Requester, id: string, fields: TriggerFields, version?: number): Promise<StoredTrigger> {
    assertRole(requester, 'engineer');
    for (const pattern of fields.devices) assertMaySee(requester, pattern);
    const { context, scenes } = this.#options;
    return await act(context, async (transaction) => {
      await scenes.plan(requester, fields.scene, fields.params, transaction);
      await lockId(transaction, 'trigger', id);
      await assertRules(transaction, requester, fields.rules);
      const before = await lockTrigger(transaction, id);
      if (before !== undefined) ownOf(requester, 'trigger', id, before);
      assertVersion('trigger', id, version, before?.version);
      if (before === undefined) await assertBelowLimit(transaction);
      const nowMs = context.clock.now();
      const trigger: StoredTrigger = {
        ...{ id, tenant: before?.tenant ?? requester.tenant, version: (before?.version ?? 0) + 1, fields, requester },
        ...{ changedBy: requester.subject, changedMs: nowMs },
        ...{ startedMs: before?.startedMs ?? null, skipped: before?.skipped ?? [] },
      };
      await storeTrigger(transaction, trigger);
      const action = before === undefined ? 'trigger.created' : 'trigger.changed';
      const details = { version: trigger.version, fields };
      return { result: trigger, acts: [triggerAct(requester, nowMs, action, id, details)] };
    });
  }

  /** Its active run continues. */
  async delete(requester: Requester, id: string): Promise<void> {
    assertRole(requester, 'engineer');
    const { context } = this.#options;
    await act(context, async (transaction) => {
      const { version } = ownOf(requester, 'trigger', id, await lockTrigger(transaction, id));
      await deleteTrigger(transaction, id);
      const acts = [triggerAct(requester, context.clock.now(), 'trigger.deleted', id, { version })];
      return { result: undefined, acts };
    });
  }
}

/** Returns the audit entry about a trigger. */
export const triggerAct = actsAbout('trigger');

/** Throws `invalid_message` for a rule that does not exist, or of devices that the requester may not see. */
async function assertRules(queryable: Queryable, requester: Requester, rules: readonly string[]): Promise<void> {
  const sql = `SELECT id, body FROM rules WHERE id = ANY ($1::text[]) AND body <> ''`;
  const { rows } = await queryable.query<{ id: string; body: string }>(sql, [rules]);
  const visible = rows.filter(({ body }) => maySeeRule(requester, JSON.parse(body) as Rule));
  const known = new Set([floodRuleId, ...visible.map(({ id }) => id)]);
  const index = rules.findIndex((id) => !known.has(id));
  if (index < 0) return;
  throw new TailraceError('invalid_message', `rules.${index}: expected the ID of a rule, got ${shown(rules[index])}`);
}

async function assertBelowLimit(queryable: Queryable): Promise<void> {
  const { triggersMax } = triggerLimits;
  if ((await countTriggers(queryable)) < triggersMax) return;
  throw new TailraceError('limit_reached', `triggers: expected at most ${triggersMax}, got one more`);
}
