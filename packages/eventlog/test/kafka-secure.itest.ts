import assert from 'node:assert/strict';
import { copyFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import type { KafkaAccessSettings } from '@tailrace/platform/broker-settings';
import { silentLogger } from '@tailrace/platform/logger';
import { isTailraceError } from '@tailrace/protocol/error';
import { KafkaEventLog } from '../src/kafka.ts';
import { inFolder, type KafkaListeners, login, openKafkaListeners } from './kafka-listeners.ts';
import { createMember, seqsOf, stopAll } from './member.ts';
import { eventually, fill, newTopic, numbersTo, readAll, recordOf, textOf, unique } from './support.ts';

let listeners: KafkaListeners;
before(async () => {
  listeners = await openKafkaListeners();
});
after(() => listeners.close());

test('a group reads every appended record, over TLS and with a login', async () => {
  const eventLog = new KafkaEventLog({
    logger: silentLogger,
    ...listeners.access('LOGIN', login('operator', listeners.authority)),
  });
  await eventLog.start();
  try {
    const [topic, group, partitions, count] = [await newTopic(eventLog, 3), unique('group'), 3, 5_000];
    const member = await createMember(eventLog, { topics: [topic], group, member: 'a', commits: true });
    await fill(eventLog, topic, partitions, count);
    await eventually('all is dealt with', 30_000, async () =>
      (await eventLog.lag(group, topic)).every((lag) => lag === 0),
    );
    for (const partition of numbersTo(partitions)) {
      assert.deepEqual(seqsOf(member.received(topic, partition)), numbersTo(count));
      assert.equal((await readAll(eventLog, topic, partition)).length, count);
    }
    await stopAll([member]);
  } finally {
    await eventLog.close();
  }
});

describe('kafka: who is let in', () => {
  const startDeadlineMs = 500;
  /** Connecting may take the same time. */
  const patienceMs = 5000;

  async function works(listener: string, settings: Partial<KafkaAccessSettings>): Promise<void> {
    const eventLog = new KafkaEventLog({ logger: silentLogger, ...listeners.access(listener, settings) });
    try {
      await eventLog.start();
      const topic = await newTopic(eventLog, 1);
      await eventLog.append(topic, [recordOf('a', 'in')]);
      assert.deepEqual((await readAll(eventLog, topic, 0)).map(textOf), ['in']);
    } finally {
      await eventLog.close();
    }
  }

  /** Asserts a refusal in one line, with the address of the broker, before a deadline. */
  async function refused(
    listener: string,
    settings: Partial<KafkaAccessSettings>,
    code: string,
    sentence: RegExp,
  ): Promise<void> {
    const access = listeners.access(listener, { startDeadlineMs, ...settings });
    const eventLog = new KafkaEventLog({ logger: silentLogger, ...access });
    const from = performance.now();
    await assert.rejects(eventLog.start(), (error) => {
      assert.ok(isTailraceError(error));
      assert.match(error.message, sentence);
      assert.equal(error.code, code, error.message);
      assert.doesNotMatch(error.message, /\n|-secret/);
      assert.ok(error.message.includes(access.brokers[0]!), error.message);
      return true;
    });
    assert.ok(performance.now() - from < startDeadlineMs + patienceMs);
    await eventLog.close();
  }

  const tls = (): Partial<KafkaAccessSettings> => ({ kafkaTls: true, kafkaTlsCaFile: listeners.authority.caFile });
  const strange = (): Partial<KafkaAccessSettings> => ({ kafkaTls: true, kafkaTlsCaFile: listeners.stranger.caFile });

  test('a client with a certificate connects if the brokers require one', async () => {
    const { certFile: kafkaTlsCertFile, keyFile: kafkaTlsKeyFile } = listeners.client;
    await works('MUTUAL', { ...tls(), kafkaTlsCertFile, kafkaTlsKeyFile });
  });

  test('a client without a certificate, or with one of an unknown authority, is refused', async () => {
    await refused('MUTUAL', tls(), 'unavailable', /check kafkaTlsCertFile and kafkaTlsKeyFile/);
    const { certFile, keyFile } = await listeners.stranger.issue('stranger');
    const settings = { ...tls(), kafkaTlsCertFile: certFile, kafkaTlsKeyFile: keyFile };
    await refused('MUTUAL', settings, 'unavailable', /check kafkaTlsCertFile and kafkaTlsKeyFile/);
  });

  test('a password without TLS is accepted if the brokers allow it', async () => {
    const { authority } = listeners;
    await works('BARE', { ...login('operator', authority), kafkaTls: false, kafkaTlsCaFile: '' });
  });

  test('a client with a wrong password or mechanism, or without any, is refused at once', async () => {
    const right = login('operator', listeners.authority);
    const check = /check kafkaSaslUsername, kafkaSaslPassword/;
    await refused('LOGIN', { ...right, kafkaSaslPassword: 'wrong' }, 'unauthorized', check);
    await refused('LOGIN', { ...right, kafkaSaslUsername: 'unknown' }, 'unauthorized', check);
    await refused(
      'LOGIN',
      { ...right, kafkaSaslMechanism: 'plain' },
      'invalid_config',
      /set kafkaSaslMechanism to one/,
    );
    await refused('LOGIN', tls(), 'unavailable', /check that kafkaTls and kafkaSaslMechanism/);
  });

  test('a broker of an unknown authority, or with an expired certificate, is refused', async () => {
    await refused(
      'LOGIN',
      { ...login('operator', listeners.authority), ...strange() },
      'unavailable',
      /kafkaTlsCaFile/,
    );
    await refused('EXPIRED', tls(), 'unavailable', /certificate has expired/);
  });

  test('TLS without a TLS listener, none with one, and a login without SASL, each have their own error', async () => {
    await refused('BARE', tls(), 'unavailable', /check that its port speaks TLS, or set kafkaTls to false/);
    await refused('EXPIRED', {}, 'unavailable', /check that kafkaTls and kafkaSaslMechanism/);
    const { certFile: kafkaTlsCertFile, keyFile: kafkaTlsKeyFile } = listeners.client;
    const both = { ...login('operator', listeners.authority), kafkaTlsCertFile, kafkaTlsKeyFile };
    await refused('MUTUAL', both, 'invalid_config', /accepts no login: leave kafkaSaslMechanism empty/);
  });

  test('a renewed file is read by the next connect, without a restart', async () => {
    const kafkaTlsCaFile = inFolder(listeners, 'renewed.pem');
    await copyFile(listeners.stranger.caFile, kafkaTlsCaFile);
    const settings = { ...login('operator', listeners.authority), kafkaTlsCaFile };
    const access = listeners.access('LOGIN', settings);
    let connects = 0;
    const eventLog = new KafkaEventLog({
      logger: silentLogger,
      ...access,
      tls: () => {
        connects++;
        return access.tls!();
      },
    });
    const started = eventLog.start();
    while (connects === 0) await new Promise(setImmediate);
    await copyFile(listeners.authority.caFile, kafkaTlsCaFile);
    await started;
    await eventLog.close();
  });
});
