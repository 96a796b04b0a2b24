import { TailraceError } from '@tailrace/protocol/error';
import { z } from 'zod';
import { isProxy, proxyForm } from './client-address.ts';
import { logLevels } from './logger.ts';
import type { TokenVerifierOptions } from './token.ts';
import type { KeySource } from './token-keys.ts';

/**
 * Settings that every service has, under the same names: `z.object({ ...commonSettings, port: … })`. The internal port's default is
 * that of a service alone on its machine; `make stack` and the chart set their own.
 */
export const commonSettings = {
  node: z
    .string()
    .regex(/^[A-Za-z0-9_-]{0,64}$/)
    .default('')
    .describe('Stable name of this process, the same after a restart; empty: the name of the host.'),
  logLevel: z.enum(logLevels).default('info').describe('What is written to the log: this level and worse.'),
  logPretty: z.boolean().default(false).describe('Log lines for a person at a terminal instead of JSON.'),
  internalHost: z
    .string()
    .min(1)
    .default('0.0.0.0')
    .describe('Where health checks and metrics listen: probes come from outside the container.'),
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

/** Of services that let clients in by limits of their addresses. */
export const proxySettings = {
  trustedProxies: z
    .array(z.string().max(64).refine(isProxy, proxyForm))
    .max(256)
    .default([])
    .describe(
      'Addresses and networks (10.0.0.0/8) of the load balancers in front, whose X-Forwarded-For is believed. None: the address of the socket counts.',
    ),
};

/** Of services that verify tokens. */
export const revocationSettings = {
  revocationsMax: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(100_000)
    .describe(
      'Revoked tokens and subjects in memory, about 200 bytes each; beyond it the one that ends first is removed, and is valid again. The same in ingest and fanout.',
    ),
};

const claimCharactersMax = 2_048;

/** What tokens are checked by, for services that let clients in: at least one of the first three, see `keySourcesFrom`. */
export const tokenSettings = {
  tokenSecret: z
    .union([z.literal(''), z.string().min(32)])
    .default('')
    .meta({ secret: true })
    .describe(
      'Shared secret of HS256 tokens, at least 32 bytes, from openssl rand -base64 48; empty: none, since a known secret is none. Needed where there are no public keys.',
    ),
  tokenPublicKeys: z
    .string()
    .max(262_144)
    .default('')
    .meta({ secret: false })
    .describe(
      'Public keys of RS256 and ES256 tokens: PEM blocks, or the JSON of a JSON Web Key Set; empty: none. For issuers whose keys are changed by hand.',
    ),
  tokenJwksUrl: z
    .union([z.literal(''), z.url({ protocol: /^https?$/ })])
    .default('')
    .describe(
      'Where the issuer of RS256 and ES256 tokens publishes its JSON Web Key Set, such as https://issuer.example/.well-known/jwks.json; empty: none. Its rotation is followed.',
    ),
  tokenIssuer: z
    .string()
    .max(claimCharactersMax)
    .default('')
    .describe(
      'What iss must be in every token; empty: it is not looked at, which is right where the keys sign for Tailrace alone.',
    ),
  tokenAudience: z
    .string()
    .max(claimCharactersMax)
    .default('')
    .describe(
      'What aud must be, or hold, in every token; empty: it is not looked at. Needed where the issuer signs for other services, whose tokens would be taken here.',
    ),
  tokenClockToleranceMs: z
    .int()
    .min(0)
    .max(300_000)
    .default(5_000)
    .describe(
      "By how much the issuer's clock may differ: as far as clocks kept by NTP do, and no more than a dead token may live on.",
    ),
  tokenExpiryRequired: z
    .boolean()
    .default(true)
    .describe('Refuse tokens that never end (no exp): a lost one would be good for ever.'),
};

const noKeySource =
  'nothing is set to check tokens with; right is at least one of tokenSecret (TAILRACE_TOKEN_SECRET), tokenPublicKeys (TAILRACE_TOKEN_PUBLIC_KEYS) ' +
  'and tokenJwksUrl (TAILRACE_TOKEN_JWKS_URL)';

/** For `.refine(...keySourceRule)` of a schema with `tokenSettings`: with no source of keys nobody could be let in. */
export const keySourceRule: [
  (settings: { tokenSecret: string; tokenPublicKeys: string; tokenJwksUrl: string }) => boolean,
  { path: string[]; message: string },
] = [
  ({ tokenSecret, tokenPublicKeys, tokenJwksUrl }) =>
    tokenSecret !== '' || tokenPublicKeys !== '' || tokenJwksUrl !== '',
  { path: ['tokenSecret'], message: noKeySource },
];

export type TokenSettings = Readonly<z.output<z.ZodObject<typeof tokenSettings>>>;

/** The sources of keys that are set. Throws `invalid_config` where none is: everything else would let nobody in, or everybody. */
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

/** All of the settings as `createTokenVerifier` takes them: `{ ...tokenVerifierOptionsFrom(config), clock, log }`. */
export function tokenVerifierOptionsFrom(settings: TokenSettings): TokenVerifierOptions {
  return {
    keys: keySourcesFrom(settings),
    issuer: settings.tokenIssuer || undefined,
    audience: settings.tokenAudience || undefined,
    clockToleranceMs: settings.tokenClockToleranceMs,
    expiryRequired: settings.tokenExpiryRequired,
  };
}
