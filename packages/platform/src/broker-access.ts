import {
  type KafkaAccessSettings,
  kafkaTlsPaths,
  type NatsAccessSettings,
  natsTlsPaths,
  type TlsPaths,
} from './broker-settings.ts';
import type { Clock } from './clock.ts';
import { type TlsTexts, tlsTextsFrom } from './tls-files.ts';

/** Options of `KafkaEventLog`. */
export interface KafkaAccess {
  readonly brokers: readonly string[];
  readonly startTimeoutMs: number;
  /** Reads the files. Called at each connect, so that renewed certificates take effect without a restart. */
  readonly tls?: () => TlsTexts;
  readonly sasl?: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
    readonly username: string;
    readonly password: string;
  };
}

/** Options of `createNatsBus`. */
export interface NatsAccess {
  servers: readonly string[];
  connectTimeoutMs: number;
  credentials?: { kind: 'password'; user: string; password: string } | { kind: 'creds'; file: string };
  tls?: { caFile?: string; certFile?: string; keyFile?: string };
}

/** Of one address; `startDeadlineMs` is the other limit. */
const natsConnectTimeoutMs = 5_000;

/** Throws `invalid_config` with setting and path for a file that cannot be used. */
export function kafkaAccessFrom(settings: KafkaAccessSettings, clock: Clock): KafkaAccess {
  const { kafkaSaslMechanism: mechanism, kafkaSaslUsername: username, kafkaSaslPassword: password } = settings;
  const tls = () => tlsTextsFrom('kafkaTls', kafkaTlsPaths(settings), clock.now());
  if (settings.kafkaTls) tls();
  return {
    brokers: settings.kafkaBrokers,
    startTimeoutMs: settings.startDeadlineMs,
    ...(settings.kafkaTls ? { tls } : {}),
    ...(mechanism === '' ? {} : { sasl: { mechanism, username, password } }),
  };
}

/** Throws `invalid_config` with setting and path for a file that cannot be used. */
export function natsAccessFrom(
  settings: NatsAccessSettings & Pick<KafkaAccessSettings, 'startDeadlineMs'>,
  clock: Clock,
): NatsAccess {
  const { natsServers: servers, natsTls, natsCredentialsFile: file, natsUsername: user, startDeadlineMs } = settings;
  const paths = natsTlsPaths(settings);
  if (natsTls) tlsTextsFrom('natsTls', paths, clock.now());
  const password = settings.natsPassword;
  return {
    servers,
    connectTimeoutMs: Math.min(natsConnectTimeoutMs, startDeadlineMs),
    ...(file === '' ? {} : { credentials: { kind: 'creds', file } }),
    ...(user === '' ? {} : { credentials: { kind: 'password', user, password } }),
    // The library reads the files itself at each connect.
    ...(natsTls ? { tls: natsFilesFrom(paths) } : {}),
  };
}

function natsFilesFrom({ ca, cert, key }: TlsPaths): { caFile?: string; certFile?: string; keyFile?: string } {
  return {
    ...(ca === '' ? {} : { caFile: ca }),
    ...(cert === '' ? {} : { certFile: cert }),
    ...(key === '' ? {} : { keyFile: key }),
  };
}
