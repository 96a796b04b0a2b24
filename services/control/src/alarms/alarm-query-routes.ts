import { shown, TailraceError } from '@tailrace/protocol/error';
import { ruleId } from '@tailrace/rules/rule';
import { z } from 'zod';
import type { ControlContext } from '../control-context.ts';
import type { Api } from '../http/api.ts';
import { cursor, cursorSchema, epochMsSchema, errorResponses, limitSchema, patternSchema } from '../http/query.ts';
import { maySee, type Requester } from '../requester.ts';
import type { StoredTransition } from './alarm-event.ts';
import { wholePeriods } from './alarm-kpi.ts';
import { alarmKpi, listAlarms, listTransitions, outcomeOf, type PlacedTransition } from './alarm-queries.ts';

const timeSchema = z.number().describe('Epoch ms.');
const valueSchema = z.union([z.number(), z.boolean(), z.string()]);

/** A transition, as `AlarmNotice` has it. A state or a cause of a later version is its number. */
const transitionSchema = z
  .object({
    id: z.string().describe('Of the transition.'),
    alarm: z.string().describe('Of the activation: the same from one raise to the next.'),
    rule: z.string(),
    ruleVersion: z.int().optional(),
    device: z.string(),
    number: z.int().describe('Rises by one with each transition of the rule at the device.'),
    state: z.string().describe('Such as unacknowledged; see docs/CONTROL.md, "States".'),
    previous: z.string().optional(),
    cause: z.string().optional().describe('Such as raised or acknowledged.'),
    limit: z.string().optional().describe('LL, L, H or HH.'),
    priority: z.int().optional().describe('1 is the highest, 5 the lowest.'),
    alarmClass: z.string().optional(),
    time: timeSchema,
    activated: timeSchema.optional(),
    tag: z.string().optional(),
    value: valueSchema.optional(),
    limitValue: z.number().optional(),
    context: z
      .array(z.object({ tag: z.string(), value: valueSchema.optional(), unit: z.string().optional() }))
      .optional(),
    by: z.string().optional().describe('Whose action it is.'),
    note: z.string().optional(),
    until: timeSchema.optional().describe('Of a shelf, epoch ms.'),
    firstOut: z.boolean().optional(),
    message: z.string().optional(),
    action: z.string().optional().describe('From POST /v1/alarm-actions.'),
  })
  .meta({ id: 'AlarmTransition' });

const states = [
  ...(['normal', 'unacknowledged', 'acknowledged', 'returned_unacknowledged', 'latched'] as const),
  ...(['shelved', 'suppressed', 'out_of_service'] as const),
] as const;
const prioritySchema = z.coerce
  .number()
  .int()
  .min(1)
  .max(5)
  .describe('This priority and higher ones, 1 is the highest.');
const scopeFields = {
  pattern: patternSchema.optional().describe('Only of these devices. Default: all that the token may see.'),
  rule: ruleId.optional(),
};

const kpiDaysMax = 31;
const dayMs = 86_400_000;
const tags = ['Alarms'];
const notes = 'Control stores transitions within a second after alarms has written them.';

/** Adds `GET /v1/alarms`, its history and numbers, and what became of an action. */
export function registerAlarmQueryRoutes(api: Api, { database, clock }: ControlContext): void {
  api.get(
    '/v1/alarms',
    {
      schema: {
        tags,
        summary: 'List the alarms that are not normal, each with its last transition',
        description: `${notes} In an order that stays the same while pages are read.`,
        querystring: z.strictObject({
          ...scopeFields,
          state: z.enum(states).exclude(['normal']).optional(),
          priority: prioritySchema.optional(),
          since: epochMsSchema.optional().describe('Only alarms that have changed since, epoch ms.'),
          limit: limitSchema,
          after: cursorSchema.optional(),
        }),
        response: {
          200: z.object({ alarms: z.array(transitionSchema), next: z.string().optional() }),
          ...errorResponses,
        },
      },
    },
    async (request) => {
      const { after, ...filter } = request.query;
      const visible = visibleTo(request.requester);
      const page = await listAlarms(database, { ...filter, visible, after: cursor.from(after) });
      const last = page.length === filter.limit ? page.at(-1) : undefined;
      return { alarms: page.map(bodyOf), ...(last && { next: cursor.of(last.position) }) };
    },
  );
  api.get(
    '/v1/alarms/history',
    {
      schema: {
        tags,
        summary: 'List transitions of alarms, the newest first',
        description: `${notes} They are kept for the setting alarmRetentionMs.`,
        querystring: z.strictObject({
          ...scopeFields,
          state: z.enum(states).optional(),
          cause: z.string().max(64).optional().describe('Such as raised.'),
          priority: prioritySchema.optional(),
          alarm: z.string().max(128).optional().describe('Only of this activation.'),
          from: epochMsSchema.optional().describe('Epoch ms.'),
          to: epochMsSchema.optional().describe('Epoch ms, exclusive.'),
          limit: limitSchema,
          before: cursorSchema.optional(),
        }),
        response: {
          200: z.object({ transitions: z.array(transitionSchema), next: z.string().optional() }),
          ...errorResponses,
        },
      },
    },
    async (request) => {
      const { before, ...filter } = request.query;
      const visible = visibleTo(request.requester);
      const page = await listTransitions(database, { ...filter, visible, before: cursor.from(before) });
      const last = page.length === filter.limit ? page.at(-1) : undefined;
      return { transitions: page.map(bodyOf), ...(last && { next: cursor.of(last.position) }) };
    },
  );
  registerKpiRoute(api, { database, clock });
  api.get(
    '/v1/alarm-actions/:id',
    {
      schema: {
        tags,
        summary: 'What became of an action on an alarm',
        description: `404: it is unknown, or alarms has not answered yet. ${notes}`,
        params: z.object({ id: z.string().min(1).max(64) }),
        response: {
          200: z.object({
            state: z.enum(['done', 'refused']),
            transition: transitionSchema.optional(),
            code: z.string().optional(),
            message: z.string().optional(),
          }),
          ...errorResponses,
        },
      },
    },
    async (request) => {
      const outcome = await outcomeOf(database, request.params.id);
      if (outcome === undefined || !maySee(request.requester, outcome.device))
        throw new TailraceError('not_found', `action: expected one with an answer, got ${shown(request.params.id)}`);
      if (outcome.state === 'done') return { state: outcome.state, transition: copyOf(outcome.transition) };
      const { state, code, message } = outcome;
      return { state, code, message };
    },
  );
}

function registerKpiRoute(api: Api, { database, clock }: Pick<ControlContext, 'database' | 'clock'>): void {
  const top = z
    .array(z.object({ name: z.string(), raised: z.int(), share: z.number().describe('Of all, 0 to 1.') }))
    .describe('The ten with the most alarms.');
  api.get(
    '/v1/alarms/kpi',
    {
      schema: {
        tags,
        summary: 'How many alarms people get, by the numbers of ISA-18.2',
        description: `Of whole periods of 10 minutes, at most ${kpiDaysMax} days. ${notes}`,
        querystring: z.strictObject({
          ...scopeFields,
          from: epochMsSchema.optional().describe('Epoch ms. Default: a day before to.'),
          to: epochMsSchema.optional().describe('Epoch ms, exclusive. Default: now.'),
        }),
        response: {
          200: z.object({
            from: timeSchema,
            to: timeSchema,
            raised: z.int(),
            perDay: z.number(),
            perTenMinutes: z.number().describe('Average.'),
            peak: z.object({ start: timeSchema, raised: z.int() }).optional().describe('The worst 10 minutes.'),
            floods: z.int().describe('More than 10 in 10 minutes, until there are fewer than 5.'),
            floodShare: z.number().describe('Of the time, 0 to 1.'),
            rules: top,
            devices: top,
            standing: z
              .object({ count: z.int(), alarms: z.array(transitionSchema) })
              .describe('Alarms whose condition has held for over 24 hours now, the ten longest.'),
            chattering: z
              .array(z.object({ device: z.string(), rule: z.string(), raised: z.int() }))
              .describe('Raised three times within a minute, the ten with the most alarms.'),
            fleeting: z
              .array(z.object({ device: z.string(), rule: z.string(), returned: z.int() }))
              .describe('Returned within 5 seconds after they were activated, the ten that did so most often.'),
          }),
          ...errorResponses,
        },
      },
    },
    async (request) => {
      const { to: until = clock.now(), from: since = until - dayMs, pattern, rule } = request.query;
      if (!(since < until && until - since <= kpiDaysMax * dayMs)) {
        const expected = `a time within ${kpiDaysMax} days before to`;
        throw new TailraceError('invalid_message', `from: expected ${expected}, ${until}, got ${since}`);
      }
      const { from, to } = wholePeriods(since, until);
      const visible = visibleTo(request.requester);
      const kpi = await alarmKpi(database, { visible, pattern, rule }, { from, to, nowMs: clock.now() });
      const { raised, peak, rules, devices, standing, chattering, fleeting, ...rates } = kpi;
      const shares = (rows: typeof rules) => rows.map((row) => ({ ...row, share: row.raised / raised }));
      return {
        ...{ from, to, raised, ...rates, ...(peak && { peak: { ...peak } }) },
        ...{ rules: shares(rules), devices: shares(devices), chattering: [...chattering] },
        fleeting: [...fleeting],
        standing: { count: standing.count, alarms: standing.alarms.map(copyOf) },
      };
    },
  );
}

function visibleTo({ subscribe, command }: Requester): readonly string[] {
  return [...new Set([...subscribe, ...command])];
}

function bodyOf({ transition }: PlacedTransition) {
  return copyOf(transition);
}

/** The schema has no read-only arrays. */
function copyOf(transition: StoredTransition): z.output<typeof transitionSchema> {
  return { ...transition } as z.output<typeof transitionSchema>;
}
