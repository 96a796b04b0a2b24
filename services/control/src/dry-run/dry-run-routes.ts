import { TailraceError } from '@tailrace/protocol/error';
import { z } from 'zod';
import type { Api } from '../http/api.ts';
import { errorResponses, patternSchema } from '../http/query.ts';
import { dryRunBounds } from './dry-run.ts';
import { type DryRunService, spanMsMax } from './dry-run-service.ts';

const timeSchema = z.number().describe('Epoch ms.');
const countSchema = z.int();

const requestSchema = z.strictObject({
  rule: z
    .looseObject({})
    .describe('As for PUT /v1/rules/{id}; with `id`, if it is to replace a rule: its shelves are counted.'),
  from: z.number().min(0).max(8.64e15).describe('Start of the span, epoch ms.'),
  to: z.number().min(0).max(8.64e15).optional().describe('Its end, exclusive, at most 31 days later. Default: now.'),
  pattern: patternSchema.optional().describe('Only of these devices. Default: all that the rule matches.'),
  warmUpMs: z
    .int()
    .min(0)
    .max(spanMsMax)
    .default(600_000)
    .describe('The rule is evaluated from this long before the span, without counting. A learnt band needs days.'),
});

const deviceSchema = z.object({
  device: z.string(),
  raised: countSchema,
  visible: countSchema,
  first: timeSchema,
  last: timeSchema,
  longestMs: z.number(),
  standing: z.boolean().describe('Its last alarm had not returned.'),
  inForce: z.enum(['shelved', 'out_of_service']).optional().describe('Its alarm of this rule is hidden now.'),
});

const resultSchema = z
  .object({
    raised: countSchema.describe('How often the alarm would have been raised, hidden ones included.'),
    visible: countSchema.describe('How many of them people would have seen.'),
    hidden: z.object({
      shelved: countSchema.describe('At devices where the alarm of this rule is shelved now.'),
      suppressed: countSchema.describe('By the inhibition of the rule, from start to return.'),
      outOfService: countSchema.describe('At devices where it is out of service now.'),
    }),
    first: timeSchema.optional(),
    last: timeSchema.optional(),
    standing: countSchema.describe('Those that had not returned.'),
    durations: z
      .object({ medianMs: z.number(), longestMs: z.number() })
      .optional()
      .describe('Those that had not returned count up to the end of the evaluation.'),
    devicesRaised: countSchema,
    devices: z.array(deviceSchema).describe('The 100 with the most alarms.'),
    flood: z
      .object({
        floods: countSchema,
        first: timeSchema.optional(),
        peak: countSchema.describe('Most alarms in 10 minutes.'),
      })
      .describe('Of those that people would have seen: above 10 in 10 minutes, until there are fewer than 5.'),
    evaluated: z.object({
      from: timeSchema.describe('From here on the log had all reports: see `leftOut`.'),
      to: timeSchema.describe('Before `to` of the request: see `leftOut`.'),
      devices: countSchema,
      reports: countSchema.describe('Of these devices, with the warm-up.'),
      lateReadings: countSchema,
      duplicateReports: countSchema,
      rejected: countSchema.describe('Records that cannot be read, or have no report.'),
    }),
    leftOut: z
      .array(
        z.object({
          bound: z.enum(dryRunBounds),
          limit: z.number().optional(),
          time: timeSchema
            .optional()
            .describe('From here on nothing is evaluated; of retention: before it reports are missing.'),
          reports: countSchema.optional().describe('Reports of devices that were left out.'),
        }),
      )
      .describe('What a bound has left out. Empty: the answer is complete.'),
  })
  .meta({ id: 'DryRun' });

/** Adds `POST /v1/rules/dry-run`. */
export function registerDryRunRoutes(api: Api, dryRuns: DryRunService): void {
  api.post(
    '/v1/rules/dry-run',
    {
      schema: {
        tags: ['Rules'],
        summary: 'What a rule would have raised in a span of the log',
        description:
          'Evaluates the rule as alarms does, and changes nothing. One at a time in a process: another one gets 429.',
        body: requestSchema,
        response: { 200: resultSchema, ...errorResponses },
      },
    },
    async (request, reply) => {
      const left = new AbortController();
      reply.raw.once('close', () => left.abort(new TailraceError('canceled', 'dry run: the requester has left')));
      const result = await dryRuns.run(request.requester, request.body, left.signal);
      return { ...result, devices: [...result.devices], leftOut: [...result.leftOut] };
    },
  );
}
