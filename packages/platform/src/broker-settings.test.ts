import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { kafkaAccessFrom, natsAccessFrom } from './broker-access.ts';
import { kafkaRules, kafkaSettings, natsRules, natsSettings } from './broker-settings.ts';
import { systemClock } from './clock.ts';
import { loadConfig } from './config.ts';
import { configTable } from './config-docs.ts';

const schema = z
  .strictObject({ ...kafkaSettings, ...natsSettings })
  .superRefine(kafkaRules)
  .superRefine(natsRules);
const load = (env: Readonly<Record<string, string>>) => loadConfig(schema, { env, args: [] });
const refused = (env: Readonly<Record<string, string>>, ...sentences: RegExp[]) =>
  assert.throws(
    () => load(env),
    (error: Error) => {
      assert.ok(error.message.split('\n').length === sentences.length + 1, error.message);
      for (const sentence of sentences) assert.match(error.message, sentence);
      assert.doesNotMatch(error.message, /hunter2/);
      return true;
    },
  );

test('by default connections are plaintext and without authentication', () => {
  const settings = load({});
  assert.deepEqual(kafkaAccessFrom(settings, systemClock), { brokers: ['localhost:9092'], startTimeoutMs: 10_000 });
  assert.deepEqual(natsAccessFrom(settings, systemClock), {
    servers: ['nats://localhost:4222'],
    connectTimeoutMs: 5_000,
  });
});

test('authentication, and TLS with public authorities', () => {
  const settings = load({
    TAILRACE_KAFKA_TLS: 'true',
    TAILRACE_KAFKA_SASL_MECHANISM: 'scram-sha-512',
    TAILRACE_KAFKA_SASL_USERNAME: 'me',
    TAILRACE_KAFKA_SASL_PASSWORD: 'hunter2',
    TAILRACE_NATS_TLS: 'true',
    TAILRACE_NATS_USERNAME: 'me',
    TAILRACE_NATS_PASSWORD: 'hunter2',
    TAILRACE_START_DEADLINE_MS: '700',
  });
  const { tls, sasl } = kafkaAccessFrom(settings, systemClock);
  assert.deepEqual(tls?.(), { ca: undefined, cert: undefined, key: undefined });
  assert.deepEqual(sasl, { mechanism: 'scram-sha-512', username: 'me', password: 'hunter2' });
  assert.deepEqual(natsAccessFrom(settings, systemClock), {
    servers: ['nats://localhost:4222'],
    connectTimeoutMs: 700,
    credentials: { kind: 'password', user: 'me', password: 'hunter2' },
    tls: {},
  });
});

test('incomplete authentication of Kafka is refused, with a message for each error', () => {
  refused({ TAILRACE_KAFKA_SASL_MECHANISM: 'plain' }, /needs kafkaSaslUsername/, /needs kafkaSaslPassword/);
  refused(
    { TAILRACE_KAFKA_SASL_USERNAME: 'me', TAILRACE_KAFKA_SASL_PASSWORD: 'hunter2' },
    /kafkaSaslUsername = "me" .* kafkaSaslMechanism is not/,
    /kafkaSaslPassword = \(secret\) .* kafkaSaslMechanism is not/,
  );
  refused({ TAILRACE_KAFKA_SASL_MECHANISM: 'scram' }, /"scram-sha-512"/);
});

test('incomplete or ambiguous authentication of NATS is refused', () => {
  refused({ TAILRACE_NATS_USERNAME: 'me' }, /needs natsPassword/);
  refused({ TAILRACE_NATS_PASSWORD: 'hunter2' }, /without natsUsername/);
  refused(
    { TAILRACE_NATS_CREDENTIALS_FILE: '/a.creds', TAILRACE_NATS_USERNAME: 'me', TAILRACE_NATS_PASSWORD: 'hunter2' },
    /natsCredentialsFile = "\/a\.creds".*one method/,
  );
});

for (const broker of ['kafka', 'nats'] as const) {
  const prefix = `TAILRACE_${broker.toUpperCase()}_TLS`;

  test(`${broker}: files of TLS while TLS is off, a key without its certificate, and vice versa, are refused`, () => {
    refused({ [`${prefix}_CA_FILE`]: '/ca.pem' }, new RegExp(`while ${broker}Tls is off`));
    const on = { [prefix]: 'true' };
    refused({ ...on, [`${prefix}_CERT_FILE`]: '/c.pem' }, new RegExp(`private key as well; set ${broker}TlsKeyFile`));
    refused({ ...on, [`${prefix}_KEY_FILE`]: '/k.pem' }, new RegExp(`set without ${broker}TlsCertFile`));
  });
}

test('tls:// in an address is refused while natsTls is off', () => {
  refused({ TAILRACE_NATS_SERVERS: 'tls://a:4222' }, /set natsTls to true, or use nats:/);
  assert.ok(load({ TAILRACE_NATS_SERVERS: 'tls://a:4222', TAILRACE_NATS_TLS: '1' }).natsTls);
});

test('a password with a line break, as of a secret made by echo, is refused with that reason', () => {
  refused(
    {
      TAILRACE_KAFKA_SASL_MECHANISM: 'plain',
      TAILRACE_KAFKA_SASL_USERNAME: 'me',
      TAILRACE_KAFKA_SASL_PASSWORD: 'hunter2\n',
    },
    /\(secret\).*line break/,
  );
});

test('the table has the secret settings', () => {
  assert.match(configTable(schema), /kafkaSaslPassword/);
});
