import { join } from 'node:path';
import { type KafkaAccess, kafkaAccessFrom } from '@tailrace/platform/broker-access';
import type { KafkaAccessSettings } from '@tailrace/platform/broker-settings';
import { systemClock } from '@tailrace/platform/clock';
import { type Authority, createAuthority, type Identity } from '@tailrace/testkit/certificates';
import { type KafkaBroker, type KafkaListener, startKafka } from '@tailrace/testkit/kafka';
import { createTempDir } from '@tailrace/testkit/tempdir';

/** The default settings of a service. */
export const noAccess: KafkaAccessSettings = {
  kafkaBrokers: ['localhost:9092'],
  kafkaTls: false,
  kafkaTlsCaFile: '',
  kafkaTlsCertFile: '',
  kafkaTlsKeyFile: '',
  kafkaSaslMechanism: '',
  kafkaSaslUsername: '',
  kafkaSaslPassword: '',
  startDeadlineMs: 20_000,
};

/**
 * A Kafka with an open listener, and one each that requires TLS and a password (`LOGIN`), a certificate (`MUTUAL`), a
 * password without TLS (`BARE`), and one whose own certificate has expired (`EXPIRED`). Everything is denied by
 * default, except at the open listener.
 */
export interface KafkaListeners {
  readonly broker: KafkaBroker;
  readonly authority: Authority;
  /** An authority that no broker trusts. */
  readonly stranger: Authority;
  /** Trusted at `MUTUAL`. */
  readonly client: Identity;
  readonly folder: string;
  /** Returns the access of a service with these settings. */
  access(listener: string, settings?: Partial<KafkaAccessSettings>): KafkaAccess;
  close(): Promise<void>;
}

/** Passwords by user. `operator` has all rights, the others those granted in a test. */
export const users = { operator: 'operator-secret', ingest: 'ingest-secret', fanout: 'fanout-secret' };

export async function openKafkaListeners(): Promise<KafkaListeners> {
  const { path: folder, remove } = await createTempDir('listeners');
  try {
    const [authority, stranger] = await Promise.all([createAuthority(folder), createAuthority(folder, 'stranger')]);
    const [server, expired, client] = await Promise.all([
      authority.issue('broker'),
      authority.issue('expired', { days: -1 }),
      authority.issue('client'),
    ]);
    const broker = await startKafka({
      listeners: listenersOf(authority, server, expired),
      scramUsers: users,
      settings: {
        'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
        // Clients at the open listener, or with a certificate, have all rights.
        'super.users': 'User:ANONYMOUS;User:operator;User:CN=client',
      },
    });
    return {
      broker,
      authority,
      stranger,
      client,
      folder,
      access: (listener, settings = {}) =>
        kafkaAccessFrom({ ...noAccess, kafkaBrokers: [broker.listeners[listener]!], ...settings }, systemClock),
      async close() {
        await broker.stop();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

function listenersOf({ caFile }: Authority, server: Identity, expired: Identity): KafkaListener[] {
  const keys = ({ bothFile }: Identity) => ({ 'ssl.keystore.type': 'PEM', 'ssl.keystore.location': bothFile });
  const scram = {
    'scram-sha-512.sasl.jaas.config': 'org.apache.kafka.common.security.scram.ScramLoginModule required;',
  };
  const trust = { 'ssl.truststore.type': 'PEM', 'ssl.truststore.location': caFile, 'ssl.client.auth': 'required' };
  return [
    { name: 'LOGIN', protocol: 'SASL_SSL', settings: { ...keys(server), ...scram } },
    { name: 'MUTUAL', protocol: 'SSL', settings: { ...keys(server), ...trust } },
    { name: 'BARE', protocol: 'SASL_PLAINTEXT', settings: scram },
    { name: 'EXPIRED', protocol: 'SSL', settings: keys(expired) },
  ];
}

/** Returns the settings for a login with a password. */
export function login(user: keyof typeof users, { caFile }: Authority): Partial<KafkaAccessSettings> {
  return {
    kafkaTls: true,
    kafkaTlsCaFile: caFile,
    kafkaSaslMechanism: 'scram-sha-512',
    kafkaSaslUsername: user,
    kafkaSaslPassword: users[user],
  };
}

/** Returns the path of a file beside the others. */
export function inFolder({ folder }: KafkaListeners, name: string): string {
  return join(folder, name);
}
