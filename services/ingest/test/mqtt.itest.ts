/** MQTT clients of others against ingest over TCP, TLS and WebSocket, on a log in memory. */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { type Authority, createAuthority, type Identity } from '@tailrace/testkit/certificates';
import { eventually } from '@tailrace/testkit/eventually';
import { pythonWith } from '@tailrace/testkit/python';
import { run } from '@tailrace/testkit/run';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { findTool } from '@tailrace/testkit/tool';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { type FixtureOptions, startIngest } from './ingest-fixture.ts';

const dir = await createTempDir('mqtt');
let authority: Authority;
let server: Identity;
before(async () => {
  authority = await createAuthority(dir.path, 'plant');
  server = await authority.issue('localhost');
});
after(() => dir.remove());

const startMqtt = (t: TestContext, settings: FixtureOptions['settings'] = {}) =>
  startIngest(t, { settings: { mqttEnabled: true, mqttPort: 0, ...settings } });

describe('mosquitto_pub and mosquitto_sub', async () => {
  const pub = await findTool('mosquitto_pub');
  const topic = 'plant1/line2/press7/telemetry/temperature';

  test('a value of each quality of service and version is in the log when mosquitto_pub exits', async (t) => {
    const { mqttPort, token, logged } = await startMqtt(t);
    const sent: string[] = [];
    for (const version of ['mqttv311', 'mqttv5']) {
      for (const qos of [0, 1, 2]) {
        const value = `${sent.length + 0.5}`;
        sent.push(value);
        const to = ['-h', '127.0.0.1', '-p', `${mqttPort}`, '-V', version, '-u', 'press7', '-P', token];
        await run(pub, [...to, '-t', topic, '-q', `${qos}`, '-m', value], { env: process.env, deadlineMs: 30_000 });
      }
    }
    // QoS 0 has no acknowledgment: it may be appended after the exit.
    await eventually(async () => (await logged()).length === sent.length);
    const values = (await logged()).map(
      ({ device, readings: [reading] }) => `${device} ${reading!.tag} ${reading!.value}`,
    );
    assert.deepEqual(values.sort(), sent.map((value) => `plant1.line2.press7 temperature ${value}`).sort());
  });

  test('mosquitto_pub exits with the reason of a token that is not accepted', async (t) => {
    const { mqttPort } = await startMqtt(t);
    const args = ['-h', '127.0.0.1', '-p', `${mqttPort}`, '-u', 'x', '-P', 'nonsense', '-t', topic, '-m', '1'];
    await assert.rejects(run(pub, args, { env: process.env, deadlineMs: 30_000 }), /not authori[sz]ed|bad user name/i);
  });

  test('mosquitto_sub gets the commands of its own device granted, and no others', async (t) => {
    const { mqttPort, token } = await startMqtt(t);
    const sub = join(dirname(pub), 'mosquitto_sub');
    const to = ['-h', '127.0.0.1', '-p', `${mqttPort}`, '-V', 'mqttv5', '-u', 'plant1.line2.press7', '-P', token];
    // It exits with SUBACK where all is granted, by -E.
    const own = ['-t', 'plant1/line2/press7/command', '-E'];
    await run(sub, [...to, ...own], { env: process.env, deadlineMs: 30_000 });
    const all = await run(sub, [...to, '-t', '#', '-E'], { env: process.env, deadlineMs: 30_000 }).catch(
      (error) => error,
    );
    assert.match(`${all.stderr}`, /denied|refused|rejected/i);
  });
});

describe('the npm package mqtt', () => {
  /** Connects; the client does not connect again. */
  const connect = async (t: TestContext, url: string, options: IClientOptions): Promise<MqttClient> => {
    const client = await mqtt.connectAsync(url, { reconnectPeriod: 0, ...options });
    t.after(() => client.end(true));
    return client;
  };
  const credentials = (token: string) => ({ username: 'plant1.js', password: token });
  const payload = (id: string) => JSON.stringify({ id, readings: [{ tag: 'n', value: 1 }] });

  for (const protocolVersion of [4, 5] as const) {
    test(`version ${protocolVersion}: messages over TCP, TLS and WebSocket are acknowledged and in the log`, async (t) => {
      const tls = { tlsPort: 0, mqttTlsPort: 0, tlsCertFile: server.certFile, tlsKeyFile: server.keyFile };
      const { mqttPort, mqttTlsPort, port, token, logged } = await startMqtt(t, tls);
      const ca = await readFile(authority.caFile);
      const urls = [
        `mqtt://127.0.0.1:${mqttPort}`,
        `mqtts://localhost:${mqttTlsPort}`,
        `ws://127.0.0.1:${port}/v1/mqtt`,
      ];
      for (const [index, url] of urls.entries()) {
        const client = await connect(t, url, { ...credentials(token), protocolVersion, ca });
        const ids = [1, 2].flatMap((qos) =>
          Array.from({ length: 20 }, (_, n) => [qos, `${index}-${qos}-${n}`] as const),
        );
        const sent = ids.map(([qos, id]) =>
          client.publishAsync('plant1/js/telemetry', payload(id), { qos: qos as 1 | 2 }),
        );
        await Promise.all(sent);
        const inLog = (await logged()).map(({ id }) => id).filter((id) => id!.startsWith(`${index}-`));
        assert.deepEqual(inLog.sort(), ids.map(([, id]) => id).sort(), url);
      }
    });
  }

  test('a burst beyond Receive Maximum ends with 0x93 in MQTT 5, which the client does not obey, and is acknowledged in 3.1.1', async (t) => {
    const { mqttPort, token, hold } = await startMqtt(t);
    const url = `mqtt://127.0.0.1:${mqttPort}`;
    const burst = (client: MqttClient) =>
      Array.from({ length: 200 }, (_, n) => client.publishAsync('plant1/js/telemetry', payload(`b${n}`), { qos: 1 }));
    const release = hold();
    const five = await connect(t, url, { ...credentials(token), protocolVersion: 5 });
    const reason = new Promise((resolve) => five.once('disconnect', ({ reasonCode }) => resolve(reasonCode)));
    for (const sent of burst(five)) sent.catch(() => undefined);
    assert.equal(await reason, 0x93);
    release();
    const four = await connect(t, url, { ...credentials(token), protocolVersion: 4 });
    assert.equal((await Promise.all(burst(four))).length, 200);
  });
});

describe('clients in Python', async () => {
  const python = await pythonWith(['paho-mqtt==2.2.0', 'gmqtt==0.8.0']);
  const script = join(import.meta.dirname, 'mqtt_clients.py');
  const count = 50;

  for (const name of ['paho', 'gmqtt']) {
    test(`${name}: messages of both versions at QoS 1 and 2 are acknowledged and in the log, once by ID`, async (t) => {
      const { mqttPort, token, logged } = await startMqtt(t);
      for (const version of [4, 5]) {
        for (const qos of [1, 2]) {
          const args = [script, name, '127.0.0.1', `${mqttPort}`, `${version}`, `${qos}`, `${count}`];
          const { stdout } = await run(python, args, { env: { ...process.env, TOKEN: token }, deadlineMs: 60_000 });
          assert.deepEqual(JSON.parse(stdout), { acknowledged: count });
          const ids = (await logged()).map(({ id }) => id!).filter((id) => id.startsWith(`${name}-${version}-${qos}-`));
          assert.deepEqual([ids.length, new Set(ids).size], [count, count]);
        }
      }
    });
  }
});
