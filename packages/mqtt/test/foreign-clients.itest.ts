import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createAuthority } from '@tailrace/testkit/certificates';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { run } from '@tailrace/testkit/run';
import { startSupervised } from '@tailrace/testkit/supervised';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { findTool } from '@tailrace/testkit/tool';
import mqtt from 'mqtt';
import { type NetServer, startNetServer } from './net-server.ts';

failOnLeaks();

/** Clients of others against the server of this package. */

let server: NetServer;
before(async () => {
  server = await startNetServer();
});
after(() => server.stop());

describe('mosquitto_pub and mosquitto_sub', () => {
  let pub: string;
  let sub: string;
  before(async () => {
    pub = await findTool('mosquitto_pub');
    sub = join(dirname(pub), 'mosquitto_sub');
  });

  const common = () => ['-h', '127.0.0.1', '-p', String(server.port)];

  for (const [version, name] of [
    ['mqttv311', '3.1.1'],
    ['mqttv5', '5'],
  ] as const) {
    for (const qos of [0, 1, 2]) {
      test(`[${name} MQTT-${qos === 0 && version === 'mqttv311' ? '7.0.0-2' : '3.3.4-1'}] mosquitto_pub sends at QoS ${qos} and exits without an error`, async () => {
        const id = `pub-${name}-${qos}`;
        const args = [...common(), '-V', version, '-i', id, '-t', 'a/telemetry', '-q', String(qos), '-m', `m${qos}`];
        await run(pub, args, { env: process.env, deadlineMs: 10_000 });
        const message = await server.received.next({ where: ({ clientId }) => clientId === id });
        assert.deepEqual([message.topic, message.qos, message.payload], ['a/telemetry', qos, `m${qos}`]);
      });
    }

    test(`[${name} MQTT-3.8.4-1] mosquitto_sub receives a message for its filter`, async () => {
      const id = `sub-${name}`;
      const output = await createTempDir('mosquitto-sub');
      const file = join(output.path, 'out');
      const process_ = await startSupervised({
        command: sub,
        args: [...common(), '-V', version, '-i', id, '-q', '1', '-t', 'a/command', '-C', '1'],
        env: process.env,
        output: { file },
      });
      await eventually(() => assert.equal(server.connections.get(id)?.session?.subscriptions?.size, 1));
      const outcome = server.connections.get(id)!.deliver({ topic: 'a/command', payload: Buffer.from('go'), qos: 1 });
      assert.equal(outcome, 'sent');
      const exit = await process_.exited;
      assert.equal(exit.code, 0);
      assert.equal(await readFile(file, 'utf8'), 'go\n');
      await output.remove();
    });
  }

  test('equal payloads with the same packet ID are two messages', async () => {
    for (let times = 0; times < 2; times++) {
      const args = [...common(), '-V', 'mqttv311', '-i', 'same', '-t', 'a/telemetry', '-q', '2', '-m', '42'];
      await run(pub, args, { env: process.env, deadlineMs: 10_000 });
    }
    assert.equal(server.received.all.filter(({ clientId }) => clientId === 'same').length, 2);
  });
});

describe('the npm package mqtt', () => {
  for (const protocolVersion of [4, 5] as const) {
    const name = protocolVersion === 4 ? '3.1.1' : '5';

    test(`[${name} MQTT-3.3.4-1] publishes at QoS 0, 1 and 2, many at a time`, async () => {
      const clientId = `js-${protocolVersion}`;
      const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${server.port}`, {
        protocolVersion,
        clientId,
        reconnectPeriod: 0,
      });
      // It does not count what it sends against the Receive Maximum of 64, so that more would be a protocol error.
      for (let sent = 0; sent < 300; sent += 60) {
        const part = Array.from({ length: 60 }, (_, index) => sent + index);
        await Promise.all(
          part.map((number) => client.publishAsync('a/telemetry', `${number}`, { qos: (number % 3) as 0 | 1 | 2 })),
        );
      }
      await eventually(() => {
        const payloads = server.received.all
          .filter((message) => message.clientId === clientId)
          .map(({ payload }) => payload);
        assert.deepEqual(
          payloads,
          Array.from({ length: 300 }, (_, index) => `${index}`),
        );
      });
      await client.endAsync();
    });

    test(`[${name} MQTT-3.1.2-${protocolVersion === 4 ? '4' : '5'}] resumes its session, and receives what was unacknowledged`, async () => {
      const clientId = `kept-${protocolVersion}`;
      const options = {
        protocolVersion,
        clientId,
        clean: false,
        reconnectPeriod: 0,
        ...(protocolVersion === 5 ? { properties: { sessionExpiryInterval: 600 } } : {}),
      };
      const first = await mqtt.connectAsync(`mqtt://127.0.0.1:${server.port}`, options);
      assert.deepEqual(
        (await first.subscribeAsync('a/command', { qos: 2 })).map(({ qos }) => qos),
        [1],
      );
      await first.endAsync(true);
      await eventually(() => assert.equal(server.connections.has(clientId), false));
      const second = mqtt.connect(`mqtt://127.0.0.1:${server.port}`, options);
      const isPresent = new Promise((resolve) => second.once('connect', (connack) => resolve(connack.sessionPresent)));
      const came = new Promise((resolve) => second.once('message', (topic, payload) => resolve(`${topic} ${payload}`)));
      assert.equal(await isPresent, true);
      server.connections.get(clientId)!.deliver({ topic: 'a/command', payload: Buffer.from('go'), qos: 1 });
      assert.equal(await came, 'a/command go');
      await eventually(() => assert.equal(server.connections.get(clientId)!.session!.window!.size, 0));
      await second.endAsync();
    });
  }

  test('[5 MQTT-3.1.4-3] the earlier connection of a client ID receives 0x8E', async () => {
    const options = { protocolVersion: 5, clientId: 'twice', reconnectPeriod: 0 } as const;
    const first = await mqtt.connectAsync(`mqtt://127.0.0.1:${server.port}`, options);
    const reason = new Promise((resolve) => first.once('disconnect', ({ reasonCode }) => resolve(reasonCode)));
    const second = await mqtt.connectAsync(`mqtt://127.0.0.1:${server.port}`, options);
    assert.equal(await reason, 0x8e);
    await first.endAsync(true);
    await second.endAsync();
  });

  test('[5 MQTT-3.3.2-12] sends topic aliases', async () => {
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${server.port}`, {
      protocolVersion: 5,
      clientId: 'alias',
      reconnectPeriod: 0,
      autoAssignTopicAlias: true,
    });
    for (const topic of ['a/telemetry', 'b/telemetry', 'a/telemetry'])
      await client.publishAsync(topic, 'x', { qos: 1 });
    const topics = server.received.all.filter(({ clientId }) => clientId === 'alias').map(({ topic }) => topic);
    assert.deepEqual(topics, ['a/telemetry', 'b/telemetry', 'a/telemetry']);
    await client.endAsync();
  });

  test('[3.1.1 MQTT-7.1.1-1] connects over TLS', async () => {
    const dir = await createTempDir('mqtt-js-tls');
    const authority = await createAuthority(dir.path);
    const identity = await authority.issue('server');
    const secure = await startNetServer({
      tls: { cert: await readFile(identity.certFile), key: await readFile(identity.keyFile) },
    });
    const client = await mqtt.connectAsync(`mqtts://localhost:${secure.port}`, {
      ca: await readFile(authority.caFile),
      reconnectPeriod: 0,
      clientId: 'secure',
    });
    await client.publishAsync('a/telemetry', 'x', { qos: 2 });
    assert.equal(secure.received.all.length, 1);
    await client.endAsync();
    await secure.stop();
    await dir.remove();
  });
});
