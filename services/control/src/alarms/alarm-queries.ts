import type { Database, Queryable } from '@tailrace/database/database';
import { matchesSql } from '../commands/command-store.ts';
import type { StoredTransition } from './alarm-event.ts';
import { type AlarmPeriod, type AlarmRates, alarmRates, kpiLimits } from './alarm-kpi.ts';

/** Which alarms a person requests and may see. */
export interface AlarmScope {
  /** Device paths and patterns that the requester may see. */
  readonly visible: readonly string[];
  /** A path or a pattern. */
  readonly pattern?: string | undefined;
  readonly rule?: string | undefined;
}

export interface AlarmFilter extends AlarmScope {
  readonly state?: string | undefined;
  /** This priority, and higher ones, which are lower numbers. */
  readonly priority?: number | undefined;
  /** Only those with a transition from this time on, epoch ms. */
  readonly since?: number | undefined;
  readonly after?: number | undefined;
  readonly limit: number;
}

export interface HistoryFilter extends AlarmScope {
  readonly state?: string | undefined;
  readonly cause?: string | undefined;
  readonly priority?: number | undefined;
  /** The activation. */
  readonly alarm?: string | undefined;
  /** Epoch ms, inclusive and exclusive. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly before?: number | undefined;
  readonly limit: number;
}

/** A row with its place for the next page. */
export interface PlacedTransition {
  readonly position: number;
  readonly transition: StoredTransition;
}

/** Resolves with alarms that are not normal, in the order in which rule and device had their first one. */
export async function listAlarms(queryable: Queryable, filter: AlarmFilter): Promise<readonly PlacedTransition[]> {
  const { state, priority, since, after, limit } = filter;
  const { parameters, conditions, add } = conditionsOf(filter);
  conditions.push(`state <> 'normal'`);
  add('state = ?', state);
  add('priority <= ?', priority);
  add('changed_ms >= ?', since);
  add('position > ?', after);
  parameters.push(limit);
  const sql = `SELECT position, transition FROM alarms WHERE ${conditions.join(' AND ')}
    ORDER BY position LIMIT $${parameters.length}`;
  return (await queryable.query<PlacedTransition>(sql, parameters)).rows;
}

/** Resolves with transitions, the newest first. */
export async function listTransitions(
  queryable: Queryable,
  filter: HistoryFilter,
): Promise<readonly PlacedTransition[]> {
  const { state, cause, priority, alarm, from, to, before, limit } = filter;
  const { parameters, conditions, add } = conditionsOf(filter);
  add('state = ?', state);
  add('cause = ?', cause);
  add('priority <= ?', priority);
  add(`transition ->> 'alarm' = ?`, alarm);
  add('at_ms >= ?', from);
  add('at_ms < ?', to);
  add('position < ?', before);
  parameters.push(limit);
  const sql = `SELECT position, transition FROM alarm_transitions WHERE ${conditions.join(' AND ')}
    ORDER BY position DESC LIMIT $${parameters.length}`;
  return (await queryable.query<PlacedTransition>(sql, parameters)).rows;
}

/** What became of an action of a person. */
export type ActionOutcome =
  | { readonly state: 'done'; readonly device: string; readonly transition: StoredTransition }
  | { readonly state: 'refused'; readonly device: string; readonly code: string; readonly message: string };

/** Resolves with what became of an action; undefined: it is unknown, or has no answer yet. */
export async function outcomeOf(queryable: Queryable, action: string): Promise<ActionOutcome | undefined> {
  const done = await queryable.query<{ device: string; transition: StoredTransition }>(
    `SELECT device, transition FROM alarm_transitions
     WHERE transition ? 'action' AND transition ->> 'action' = $1 LIMIT 1`,
    [action],
  );
  if (done.rows[0] !== undefined) return { state: 'done', ...done.rows[0] };
  const refused = await queryable.query<{ device: string; code: string; message: string }>(
    'SELECT device, code, message FROM alarm_refusals WHERE action = $1',
    [action],
  );
  return refused.rows[0] && { state: 'refused', ...refused.rows[0] };
}

export interface KpiRow {
  /** Of a rule or a device. */
  readonly name: string;
  readonly raised: number;
}

export interface AlarmKpi extends AlarmRates {
  readonly rules: readonly KpiRow[];
  readonly devices: readonly KpiRow[];
  /** Alarms whose condition has held for over a day, the longest first. */
  readonly standing: { readonly count: number; readonly alarms: readonly StoredTransition[] };
  readonly chattering: readonly { readonly device: string; readonly rule: string; readonly raised: number }[];
  /** How often the alarm of a rule at a device returned at once. */
  readonly fleeting: readonly { readonly device: string; readonly rule: string; readonly returned: number }[];
}

const topMax = 10;
const kpiTimeoutMs = 10_000;

/** Resolves with the numbers of whole periods of 10 minutes. Rejects with `timeout` if they take over 10 s. */
export async function alarmKpi(
  database: Database,
  scope: AlarmScope,
  { from, to, nowMs }: { readonly from: number; readonly to: number; readonly nowMs: number },
): Promise<AlarmKpi> {
  const { periodMs, chatterMs, chatterRaises, fleetingMs, standingMs } = kpiLimits;
  const { parameters, conditions, add } = conditionsOf(scope);
  const standing = { parameters: [...parameters], where: conditions.join(' AND ') };
  add('at_ms >= ?', from);
  add('at_ms < ?', to);
  const transitions = `FROM alarm_transitions WHERE ${conditions.join(' AND ')}`;
  const raised = `${transitions} AND cause = 'raised'`;
  // One after the other, on one connection, with one time limit for each.
  return await database.transaction(
    async (transaction) => {
      const rows = async <R extends object>(sql: string, values: readonly unknown[] = parameters) =>
        (await transaction.query<R>(sql, values)).rows;
      const top = (column: string) =>
        rows<KpiRow>(
          `SELECT ${column} AS name, count(*) AS raised ${raised}
           GROUP BY 1 ORDER BY raised DESC, name LIMIT ${topMax}`,
        );
      const periods = await rows<AlarmPeriod>(
        `SELECT floor(at_ms / ${periodMs}) * ${periodMs} AS start, count(*) AS raised ${raised} GROUP BY 1 ORDER BY 1`,
      );
      const rules = await top('rule');
      const devices = await top('device');
      const chattering = await rows<{ device: string; rule: string; raised: number }>(
        `SELECT device, rule, count(*) AS raised FROM (
           SELECT device, rule, at_ms - lag(at_ms, ${chatterRaises - 1}) OVER (
             PARTITION BY device, rule ORDER BY at_ms) AS since_ms ${raised}) AS one
         GROUP BY device, rule HAVING min(since_ms) <= ${chatterMs}
         ORDER BY raised DESC, device, rule LIMIT ${topMax}`,
      );
      const fleeting = await rows<{ device: string; rule: string; returned: number }>(
        `SELECT device, rule, count(*) AS returned ${transitions} AND cause = 'returned'
           AND at_ms - (transition ->> 'activated')::double precision < ${fleetingMs}
         GROUP BY device, rule ORDER BY returned DESC, device, rule LIMIT ${topMax}`,
      );
      const stands = `FROM alarms WHERE ${standing.where} AND state IN ('unacknowledged', 'acknowledged')
        AND activated_ms <= $${standing.parameters.length + 1}`;
      const values = [...standing.parameters, nowMs - standingMs];
      const counted = await rows<{ count: number }>(`SELECT count(*) AS count ${stands}`, values);
      const longest = await rows<{ transition: StoredTransition }>(
        `SELECT transition ${stands} ORDER BY activated_ms, position LIMIT ${topMax}`,
        values,
      );
      const alarms = longest.map(({ transition: one }) => one);
      return {
        ...alarmRates(periods, from, to),
        ...{ rules, devices, chattering, fleeting, standing: { count: counted[0]!.count, alarms } },
      };
    },
    { statementTimeoutMs: kpiTimeoutMs },
  );
}

function conditionsOf({ visible, pattern, rule }: AlarmScope) {
  const parameters: unknown[] = [visible];
  const conditions = [visible.includes('>') ? '$1::text[] IS NOT NULL' : matchesSql('device', '$1')];
  /** Adds a condition with `?` as the value, unless there is none. */
  const add = (sql: string, value: unknown) => {
    if (value === undefined) return;
    parameters.push(value);
    conditions.push(sql.replaceAll('?', `$${parameters.length}`));
  };
  // So that an index on the device is used.
  if (pattern?.endsWith('.>')) add('starts_with(device, ?)', pattern.slice(0, -1));
  else if (pattern !== '>') add('device = ?', pattern);
  add('rule = ?', rule);
  return { parameters, conditions, add };
}
