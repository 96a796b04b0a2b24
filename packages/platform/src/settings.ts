import { TailraceError } from '@tailrace/protocol/error';
import { z } from 'zod';
import { isProxy, proxyForm } from './client-address.ts';
import { logLevels } from './logger.ts';
import type { TokenVerifierOptions } from './token.ts';
import type { KeySource } from './token-keys.ts';

/**
 * Settings of every service: `z.object({ ...commonSettings, port: … })`. The default of the internal port is for one
 * service on a machine; `make stack` and the chart set others.
 */
export const commonSettings = {
  node: z
    .string()
    .regex(/^[A-Za-z0-9_-]{0,64}$/)
    .default('')
    .describe('Stable name of this process, the same after a restart; empty: the name of the host.'),
  logLevel: z.enum(logLevels).default('info').describe('Lowest level that is logged.'),
  logPretty: z.boolean().default(false).describe('Log lines for a terminal instead of JSON.'),
  internalHost: z
    .string()
    .min(1)
    .default('0.0.0.0')
    .describe('Host of the internal port; not 127.0.0.1, because probes come from outside the container.'),
  internalPort: z
    .int()
    .min(0)
    .max(65_535)
    .default(9090)
    .describe('Port of /livez, /readyz and /metrics; not for the public. 0 takes a free one.'),
  tracingUrl: z
    .union([z.literal(''), z.url()])
    .default('')
    .describe(
      'OTLP/HTTP endpoint for traces, such as http://collector:4318/v1/traces; empty: tracing is off and costs nothing.',
    ),
  tracingSampleRatio: z
    .number()
    .min(0)
    .max(1)
    .default(0.001)
    .describe('Share of batches that are traced: enough to see where time goes, too little to cost any.'),
};

/** Settings of services with limits by client address. */
export const proxySettings = {
  trustedProxies: z
    .array(z.string().max(64).refine(isProxy, proxyForm))
    .max(256)
    .default([])
    .describe(
      'Addresses and networks (10.0.0.0/8) of the load balancers in front, whose X-Forwarded-For is trusted. None: the address of the socket counts.',
    ),
};

/** Settings of services that verify tokens. */
export const revocationSettings = {
  revocationsMax: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(100_000)
    .describe(
      'Revoked tokens and subjects in memory, about 200 bytes each; beyond it the revocation that expires first is removed, and its token is valid again. Set the same in ingest and fanout.',
    ),
};

/** Settings of services that keep the device tokens in memory. */
export const credentialSettings = {
  credentialsMax: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(200_000)
    .describe(
      'Device tokens in memory, about 500 bytes each; beyond it no further one is issued, and a process ignores those that exist. Set the same in ingest and fanout.',
    ),
};

const claimCharactersMax = 2_048;

/** Settings for the verification of tokens: at least one of the first three is required, see `keySourcesFrom`. */
export const tokenSettings = {
  tokenSecret: z
    .union([z.literal(''), z.string().min(32)])
    .default('')
    .meta({ secret: true })
    .describe(
      'Shared secret of HS256 tokens, at least 32 bytes, from openssl rand -base64 48; empty: none. Required without public keys.',
    ),
  tokenPublicKeys: z
    .string()
    .max(262_144)
    .default('')
    .meta({ secret: false })
    .describe(
      'Public keys of RS256 and ES256 tokens: PEM blocks, or the JSON of a JSON Web Key Set; empty: none. For issuers whose keys are changed manually.',
    ),
  tokenJwksUrl: z
    .union([z.literal(''), z.url({ protocol: /^https?$/ })])
    .default('')
    .describe(
      'URL of the JSON Web Key Set of the issuer of RS256 and ES256 tokens, such as https://issuer.example/.well-known/jwks.json; empty: none. Rotated keys are fetched.',
    ),
  tokenIssuer: z
    .string()
    .max(claimCharactersMax)
    .default('')
    .describe('Required iss of every token; empty: any, for keys that sign for Tailrace alone.'),
  tokenAudience: z
    .string()
    .max(claimCharactersMax)
    .default('')
    .describe(
      'Required aud of every token, or one of its aud; empty: any. Set it if the issuer also signs for other services, whose tokens would be accepted here.',
    ),
  tokenClockToleranceMs: z
    .int()
    .min(0)
    .max(300_000)
    .default(5_000)
    .describe(
      "Tolerance for differences between the issuer's clock and this one. The default covers clocks with NTP; an expired token is accepted that long.",
    ),
  tokenExpiryRequired: z
    .boolean()
    .default(true)
    .describe('Refuse tokens that never expire (no exp): a lost one would be valid without end.'),
};

const noKeySource =
  'keys of tokens: expected at least one of tokenSecret (TAILRACE_TOKEN_SECRET), tokenPublicKeys (TAILRACE_TOKEN_PUBLIC_KEYS) ' +
  'and tokenJwksUrl (TAILRACE_TOKEN_JWKS_URL), got none';

/** For `.refine(...keySourceRule)` of a schema with `tokenSettings`: without keys no client could be accepted. */
export const keySourceRule: [
  (settings: { tokenSecret: string; tokenPublicKeys: string; tokenJwksUrl: string }) => boolean,
  { path: string[]; message: string },
] = [
  ({ tokenSecret, tokenPublicKeys, tokenJwksUrl }) =>
    tokenSecret !== '' || tokenPublicKeys !== '' || tokenJwksUrl !== '',
  { path: ['tokenSecret'], message: noKeySource },
];

export type TokenSettings = Readonly<z.output<z.ZodObject<typeof tokenSettings>>>;

/** Returns the sources of keys that are set. Throws `invalid_config` without any. */
export function keySourcesFrom(
  settings: Pick<TokenSettings, 'tokenSecret' | 'tokenPublicKeys' | 'tokenJwksUrl'>,
): readonly KeySource[] {
  const sources: KeySource[] = [];
  if (settings.tokenSecret !== '') sources.push({ secret: settings.tokenSecret });
  if (settings.tokenPublicKeys !== '') sources.push({ publicKeys: settings.tokenPublicKeys });
  if (settings.tokenJwksUrl !== '') sources.push({ jwksUrl: settings.tokenJwksUrl });
  if (sources.length > 0) return sources;
  throw new TailraceError('invalid_config', noKeySource);
}

/**
 * Returns the settings as options of `createTokenVerifier`: `{ ...tokenVerifierOptionsFrom(config), clock, logger }`.
 */
export function tokenVerifierOptionsFrom(settings: TokenSettings): TokenVerifierOptions {
  return {
    keys: keySourcesFrom(settings),
    issuer: settings.tokenIssuer || undefined,
    audience: settings.tokenAudience || undefined,
    clockToleranceMs: settings.tokenClockToleranceMs,
    expiryRequired: settings.tokenExpiryRequired,
  };
}
