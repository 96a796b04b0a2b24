import { z } from 'zod';
import type { Api } from '../http/api.ts';
import { errorResponses, patternSchema } from '../http/query.ts';
import { leaseLimits } from './lease.ts';
import type { LeaseService } from './lease-service.ts';

const leaseSchema = z
  .object({
    scope: z.string(),
    token: z.int().describe('Fencing token: of two leases, the later one has the higher.'),
    holder: z.string().describe('Empty: the scope is free.'),
    until: z.number().describe('Epoch ms.'),
    previous: z.string().optional().describe('The former holder.'),
  })
  .meta({ id: 'Lease' });

const { forMsMin, forMsMax, forMsDefault } = leaseLimits;

const requestSchema = z.strictObject({
  scope: patternSchema,
  action: z.enum(['acquire', 'renew', 'release', 'take_over']).default('acquire'),
  forMs: z.number().min(forMsMin).max(forMsMax).default(forMsDefault).describe('How long it is valid.'),
  token: z.int().min(0).default(0).describe('Of the lease to renew or release.'),
});

const tags = ['Leases'];

/** Adds `/v1/leases`. */
export function registerLeaseRoutes(api: Api, leases: LeaseService): void {
  api.post(
    '/v1/leases',
    {
      schema: {
        tags,
        summary: 'Acquire, renew, release or take over the control of a device or subtree',
        description: 'While a lease is valid, only its holder may command what it covers. Leases do not overlap.',
        body: requestSchema,
        response: { 200: leaseSchema, ...errorResponses },
      },
    },
    async (request) => {
      const { scope, token, holder, until, previous } = await leases.request(request.requester, request.body);
      return { scope, token, holder, until, ...(previous === '' ? {} : { previous }) };
    },
  );
  api.get(
    '/v1/leases',
    {
      schema: {
        tags,
        summary: 'List the valid leases',
        response: { 200: z.object({ leases: z.array(leaseSchema) }), ...errorResponses },
      },
    },
    async (request) => ({
      leases: (await leases.list(request.requester)).map(({ scope, token, holder, until }) => ({
        ...{ scope, token, holder, until },
      })),
    }),
  );
}
