import { z } from 'zod';
import {
  addError,
  passwordSetting,
  pathSetting,
  type RuleContext,
  type TlsPaths,
  tlsRules,
} from './broker-settings.ts';
import type { Clock } from './clock.ts';
import { type TlsTexts, tlsTextsFrom } from './tls-files.ts';

/**
 * How a service connects to PostgreSQL, for `z.strictObject({ …, ...databaseSettings }).superRefine(databaseRules)`.
 */
export const databaseSettings = {
  databaseUrl: z
    .string()
    .min(1)
    .max(4_096)
    .default('postgres://tailrace@localhost:5432/tailrace')
    .meta({ secret: true })
    .describe(
      'PostgreSQL 15 or newer, postgres://user:password@host:port/database (CloudNativePG: uri of the secret <cluster>-app). A pooler in between must keep sessions.',
    ),
  databasePassword: passwordSetting('Password of the user; empty: that of databaseUrl.'),
  databaseTls: z
    .boolean()
    .default(false)
    .describe('Use TLS, and verify the name of the server. Off is for a private network.'),
  databaseTlsCaFile: pathSetting(
    'PEM file of the certificate authorities of the server (CloudNativePG: ca.crt of <cluster>-ca); empty: the public ones. Read at each connect.',
  ),
  databaseTlsCertFile: pathSetting(
    'PEM file of the client certificate, if the server requires one; empty: none. Read at each connect.',
  ),
  databaseTlsKeyFile: pathSetting('PEM file of the private key of databaseTlsCertFile. Read at each connect.'),
  databaseConnectionsMax: z
    .int()
    .min(1)
    .max(1_000)
    .default(10)
    .describe(
      'Connections of this process at once, and one more for notifications; beyond it calls wait. All processes together stay below max_connections of the server.',
    ),
  databaseWaitingMax: z
    .int()
    .min(0)
    .max(100_000)
    .default(1_000)
    .meta({ unit: 'calls' })
    .describe('Calls that wait for a connection; beyond it a call is refused, and its sender may try again.'),
  databaseAcquireTimeoutMs: z
    .int()
    .min(100)
    .max(60_000)
    .default(5_000)
    .describe('Maximum wait for a connection, and of a connect.'),
  databaseStatementTimeoutMs: z
    .int()
    .min(100)
    .max(600_000)
    .default(30_000)
    .describe('Maximum of one statement; then the server cancels it. Migrations have ten minutes.'),
};

export type DatabaseSettings = Readonly<z.output<z.ZodObject<typeof databaseSettings>>>;

/** Options of `createPgDatabase`. */
export interface DatabaseAccess {
  readonly url: string;
  /** Reads the files. Called at each connect, so that renewed certificates take effect without a restart. */
  readonly tls?: () => TlsTexts;
  readonly connectionsMax: number;
  readonly waitingMax: number;
  readonly acquireTimeoutMs: number;
  readonly statementTimeoutMs: number;
}

/** Parameters of a URL that set TLS as well, each in its own way. */
const tlsParameters = ['ssl', 'sslmode', 'sslcert', 'sslkey', 'sslrootcert'];

/** Adds an error for each contradiction in the settings of PostgreSQL. Messages never show the URL. */
export function databaseRules(settings: DatabaseSettings, context: RuleContext): void {
  tlsRules('database', settings.databaseTls, databaseTlsPaths(settings), context);
  const url = URL.parse(settings.databaseUrl);
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol) || url.hostname === '' || url.pathname.length < 2) {
    addError(context, 'databaseUrl', 'expected postgres://user:password@host:port/database');
    return;
  }
  const parameter = tlsParameters.find((each) => url.searchParams.has(each));
  if (parameter !== undefined)
    addError(context, 'databaseUrl', `has the parameter ${parameter}; remove it, and set databaseTls instead`);
  if (url.password !== '' && settings.databasePassword !== '')
    addError(context, 'databasePassword', 'is set, and databaseUrl has a password as well; leave one of them out');
}

/** Throws `invalid_config` with setting and path for a file that cannot be used. */
export function databaseAccessFrom(settings: DatabaseSettings, clock: Clock): DatabaseAccess {
  const tls = () => tlsTextsFrom('databaseTls', databaseTlsPaths(settings), clock.now());
  if (settings.databaseTls) tls();
  const url = new URL(settings.databaseUrl);
  if (settings.databasePassword !== '') url.password = encodeURIComponent(settings.databasePassword);
  return {
    url: url.href,
    ...(settings.databaseTls ? { tls } : {}),
    connectionsMax: settings.databaseConnectionsMax,
    waitingMax: settings.databaseWaitingMax,
    acquireTimeoutMs: settings.databaseAcquireTimeoutMs,
    statementTimeoutMs: settings.databaseStatementTimeoutMs,
  };
}

function databaseTlsPaths(settings: DatabaseSettings): TlsPaths {
  return {
    ca: settings.databaseTlsCaFile,
    cert: settings.databaseTlsCertFile,
    key: settings.databaseTlsKeyFile,
  };
}
