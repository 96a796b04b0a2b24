import { labelCharactersMax } from '@tailrace/platform/device-credentials';
import { plainText } from '@tailrace/rules/plain-text';
import { z } from 'zod';
import type { Api } from '../http/api.ts';
import { errorResponses } from '../http/query.ts';
import type { CredentialService, IssuedCredential } from './credential-service.ts';
import { credentialLifeMsMax, type StoredCredential } from './credential-store.ts';
import { devicePathSchema } from './fields.ts';

const timeSchema = z.number().describe('Epoch ms.');
const dayMs = 86_400_000;

const credentialSchema = z
  .object({
    id: z.string().describe('Not secret: the audit and the logs name the token by it.'),
    device: z.string(),
    gateway: z.boolean().describe('Whether the token is also for the devices below the path.'),
    label: z.string(),
    issued: timeSchema,
    issuedBy: z.string(),
    expires: timeSchema.optional().describe('Epoch ms; absent: never.'),
    state: z.enum(['active', 'replaced', 'revoked']).describe('replaced: valid until its revocation.'),
    revoked: timeSchema.optional().describe('When it was revoked, or will be.'),
  })
  .meta({ id: 'DeviceCredential' });

const issuedSchema = credentialSchema.extend({
  token: z.string().describe('With the secret. It is in no other answer.'),
  publish: z.array(z.string()).describe('Patterns of the devices that it may publish.'),
});

const expiresInMsSchema = z
  .int()
  .min(60_000)
  .max(credentialLifeMsMax)
  .default(365 * dayMs)
  .describe('How long the token is valid, ms.');

const tags = ['Registry'];
const path = '/v1/registry/devices/:device/credentials';
const byPath = z.object({ device: devicePathSchema });
const byId = byPath.extend({ id: z.string().regex(/^[\w-]{16}$/, 'expected 16 characters of base64url') });
const engineer = 'With the role engineer, and the right to command the device.';
/** The answer has a secret: no cache may store it. */
const noStore = 'no-store';

/** Adds the tokens of devices to `/v1/registry/devices`. */
export function registerCredentialRoutes(api: Api, credentials: CredentialService): void {
  api.get(
    path,
    {
      schema: {
        tags,
        summary: 'List the tokens of a device, without secrets',
        description: 'With the role engineer, and the right to see the device.',
        params: byPath,
        response: { 200: z.object({ credentials: z.array(credentialSchema) }), ...errorResponses },
      },
    },
    async (request) => ({
      credentials: (await credentials.list(request.requester, request.params.device)).map(bodyOf),
    }),
  );
  api.post(
    path,
    {
      schema: {
        tags,
        summary: 'Issue a token for a device',
        description: `The answer has the token, once. All processes accept it within a second. ${engineer}`,
        params: byPath,
        body: z.strictObject({
          gateway: z.boolean().default(false),
          label: plainText(labelCharactersMax).default(''),
          expiresInMs: expiresInMsSchema,
        }),
        response: { 201: issuedSchema, ...errorResponses },
      },
    },
    async (request, reply) => {
      const { gateway: isGateway, label, expiresInMs } = request.body;
      const issue = { isGateway, label, expiresInMs };
      const issued = await credentials.issue(request.requester, request.params.device, issue);
      return reply.code(201).header('cache-control', noStore).send(issuedBodyOf(issued));
    },
  );
  api.post(
    `${path}/:id/rotate`,
    {
      schema: {
        tags,
        summary: 'Replace a token by a new one',
        description: `The former one is valid for overlapMs more. ${engineer}`,
        params: byId,
        body: z.strictObject({
          overlapMs: z
            .int()
            .min(0)
            .max(30 * dayMs)
            .default(3_600_000)
            .describe('How long both tokens are valid, ms; 0: the former one is revoked at once.'),
          expiresInMs: expiresInMsSchema,
        }),
        response: { 201: issuedSchema, ...errorResponses },
      },
    },
    async (request, reply) => {
      const { device, id } = request.params;
      const issued = await credentials.rotate(request.requester, device, id, request.body);
      return reply.code(201).header('cache-control', noStore).send(issuedBodyOf(issued));
    },
  );
  api.delete(
    `${path}/:id`,
    {
      schema: {
        tags,
        summary: 'Revoke a token',
        description: `Its sessions are closed within a second. ${engineer}`,
        params: byId,
        response: { 204: z.null(), ...errorResponses },
      },
    },
    async (request, reply) => {
      await credentials.revoke(request.requester, request.params.device, request.params.id);
      return reply.code(204).send(null);
    },
  );
}

function bodyOf(credential: StoredCredential): z.output<typeof credentialSchema> {
  const { id, device, isGateway, label, issuedMs, issuedBy, expiresMs, revokeMs, revokedMs } = credential;
  const revoked = revokedMs ?? revokeMs;
  return {
    ...{ id, device, gateway: isGateway, label, issued: issuedMs, issuedBy },
    ...(expiresMs === null ? {} : { expires: expiresMs }),
    state: revokedMs === null ? (revokeMs === null ? 'active' : 'replaced') : 'revoked',
    ...(revoked === null ? {} : { revoked }),
  };
}

function issuedBodyOf({ credential, token, publish }: IssuedCredential): z.output<typeof issuedSchema> {
  return { ...bodyOf(credential), token, publish: [...publish] };
}
