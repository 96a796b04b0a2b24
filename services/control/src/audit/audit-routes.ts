import { Readable } from 'node:stream';
import type { Queryable } from '@tailrace/database/database';
import { z } from 'zod';
import type { Api } from '../http/api.ts';
import { cursor, cursorSchema, epochMsSchema, errorResponses, limitSchema } from '../http/query.ts';
import { assertAllTenants, assertRole, type Requester } from '../requester.ts';
import { type AuditFilter, listEntries, type StoredEntry, verifyChains } from './audit-store.ts';

const entrySchema = z
  .object({
    chain: z.int(),
    number: z.int().describe('In its chain, from 1.'),
    hash: z.string().describe('SHA-256 of the hash before, the number and the content.'),
    time: z.number().describe('Epoch ms.'),
    subject: z.string(),
    tokenId: z.string(),
    address: z.string(),
    action: z.string(),
    target: z.string(),
    result: z.enum(['done', 'refused']),
    details: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'AuditEntry' });

const filterSchema = z.strictObject({
  target: z.string().max(300).optional().describe('A device path, a pattern, or a target such as rule/r-17.'),
  subject: z.string().max(200).optional(),
  action: z.string().max(100).optional().describe('Such as command.accepted.'),
  result: z.enum(['done', 'refused']).optional(),
  from: epochMsSchema.optional(),
  to: epochMsSchema.optional().describe('Epoch ms, exclusive.'),
});

const tags = ['Audit'];
/** Rows of one statement of an export. */
const exportRows = 1_000;

/** Adds `/v1/audit`. It needs the role `auditor` and a token without a tenant: entries concern all of them. */
export function registerAuditRoutes(api: Api, database: Queryable): void {
  api.get(
    '/v1/audit',
    {
      schema: {
        tags,
        summary: 'List what was done and refused, the newest first',
        querystring: filterSchema.extend({ limit: limitSchema, before: cursorSchema.optional() }),
        response: { 200: z.object({ entries: z.array(entrySchema), next: z.string().optional() }), ...errorResponses },
      },
    },
    async (request) => {
      assertAuditor(request.requester);
      const { before, ...filter } = request.query;
      const page = await listEntries(database, { ...filter, before: cursor.from(before) });
      const last = page.length === filter.limit ? page.at(-1) : undefined;
      return { entries: page.map(bodyOf), ...(last && { next: cursor.of(last.position) }) };
    },
  );
  api.get(
    '/v1/audit/export',
    {
      schema: {
        tags,
        summary: 'All entries as NDJSON, the oldest first',
        querystring: filterSchema,
        response: { 200: z.unknown().describe('A line for each entry.'), ...errorResponses },
      },
    },
    async (request, reply) => {
      assertAuditor(request.requester);
      const lines = Readable.from(exportLines(database, request.query));
      return reply.type('application/x-ndjson').send(lines);
    },
  );
  api.get(
    '/v1/audit/verify',
    {
      schema: {
        tags,
        summary: 'Compute all hashes again, and compare them',
        response: {
          200: z.object({
            valid: z.boolean(),
            entries: z.int(),
            heads: z.array(z.object({ chain: z.int(), number: z.int(), hash: z.string() })),
            broken: z.array(
              z.object({ chain: z.int(), number: z.int(), reason: z.enum(['missing', 'changed', 'head']) }),
            ),
          }),
          ...errorResponses,
        },
      },
    },
    async (request) => {
      assertAuditor(request.requester);
      const { entries, heads, broken } = await verifyChains(database);
      return { valid: broken.length === 0, entries, heads: [...heads], broken: [...broken] };
    },
  );
}

function assertAuditor(requester: Requester): void {
  assertRole(requester, 'auditor');
  assertAllTenants(requester);
}

async function* exportLines(database: Queryable, filter: Omit<AuditFilter, 'limit'>): AsyncGenerator<string> {
  for (let after = 0; ; ) {
    const entries = await listEntries(database, { ...filter, after, limit: exportRows });
    for (const entry of entries) yield `${JSON.stringify(bodyOf(entry))}\n`;
    if (entries.length < exportRows) return;
    after = entries.at(-1)!.position;
  }
}

function bodyOf({ chain, number, hash, entry }: StoredEntry): z.output<typeof entrySchema> {
  return { chain, number, hash, ...entry, details: { ...entry.details } };
}
