/** Traces of single messages, by the real exporter: from a device over WebSocket and MQTT, and from a real broker. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createTracing } from '@tailrace/platform/create-tracing';
import { silentLogger } from '@tailrace/platform/logger';
import { TailraceError } from '@tailrace/protocol/error';
import { encodePayload } from '@tailrace/sparkplug/payload';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { startMosquitto } from '@tailrace/testkit/mosquitto';
import { type ReceivedSpan, startOtlpReceiver } from '@tailrace/testkit/otlp-receiver';
import mqtt from 'mqtt';
import { bridgesFrom } from '../src/bridge/bridges-file.ts';
import { type FixtureOptions, loggedHeaders, startIngest, tokenFor, topic } from './ingest-fixture.ts';
import { Publisher } from './mqtt-publisher.ts';
import { loginDevice } from './raw-device.ts';
import { bdSeqOf, metricOf } from './sparkplug-fixture.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const deviceSpanId = '00f067aa0ba902b7';
const traceparent = `00-${traceId}-${deviceSpanId}-01`;
const notSampled = `00-${traceId}-${deviceSpanId}-00`;

/** Starts ingest with a collector of traces and a sample ratio of 0. */
async function traced(t: TestContext, options: FixtureOptions = {}) {
  const receiver = await startOtlpReceiver();
  t.after(() => receiver.stop());
  const { monotonic } = createFakeClock();
  // A stopped monotonic clock: the limit of traces per second is reached once.
  const clock = { ...createFakeClock(), now: Date.now, monotonic };
  const tracing = await createTracing({
    ...{ service: 'ingest', node: 'n', url: receiver.url, sampleRatio: 0, logger: silentLogger, clock },
  });
  const settings = { telemetryPartitions: 1, ...options.settings };
  const serving = await startIngest(t, { ...options, tracing, settings });
  return {
    ...serving,
    async spans() {
      await tracing.stop();
      return receiver.spans.all;
    },
    headers: () => loggedHeaders(serving.eventLog),
  };
}

/** Asserts that the spans are those of one message, which continues the trace of its device. */
function assertTrace([append, message]: readonly ReceivedSpan[], protocol: string, outcome = 'accepted'): void {
  assert.ok(append && message);
  assert.deepEqual([message.name, message.traceId, message.kind], [`receive ${protocol}`, traceId, 5]);
  assert.equal(message.parentSpanId, deviceSpanId);
  assert.equal(message.attributes['tailrace.outcome'], outcome);
  assert.deepEqual([append.name, append.traceId, append.kind], [`send ${topic}`, traceId, 4]);
  assert.equal(append.parentSpanId, message.spanId);
}

test('a sampled message of a WebSocket has a span until its acknowledgment, and its record has the trace; others have none', async (t) => {
  const { port, token, headers, spans, page } = await traced(t);
  const device = await loginDevice({ port, token });
  device.status('a0', 0);
  device.status('a1', 1, { traceparent });
  device.status('a2', 2, { traceparent: notSampled });
  for (const id of ['a0', 'a1', 'a2']) assert.equal(await device.ack(), `${id} accepted`);
  const exemplars = await page('application/openmetrics-text');
  const all = await spans();
  assert.equal(all.length, 2);
  assertTrace(all, 'websocket');
  const [append, message] = all as [ReceivedSpan, ReceivedSpan];
  assert.deepEqual(await headers(), [undefined, { traceparent: `00-${traceId}-${append.spanId}-01` }, undefined]);
  assert.equal(append.attributes['messaging.batch.message_count'], 1);
  assert.ok(Number(message.attributes['messaging.message.body.size']) > 50);
  assert.doesNotMatch(JSON.stringify(all), /press7/, 'no span names a device');
  const exemplar = `trace_id="${traceId}",span_id="${message.spanId}"`;
  assert.ok(exemplars.split('\n').some((line) => line.includes('ack_duration') && line.includes(exemplar)));
  device.socket.close();
});

test('a batch has one trace, which all its records have', async (t) => {
  const { port, token, headers, spans } = await traced(t);
  const device = await loginDevice({ port, token });
  const messages = ['valve_open', 'gate_open'].map((name) => ({ type: 'event', payload: { name } }));
  device.send({ type: 'batch', msgid: 'b', traceparent, payload: { messages } });
  assert.equal(await device.ack(), 'b accepted');
  const all = await spans();
  assert.equal(all.length, 2);
  assertTrace(all, 'websocket');
  assert.equal(all[0]!.attributes['messaging.batch.message_count'], 2);
  const inLog = { traceparent: `00-${traceId}-${all[0]!.spanId}-01` };
  assert.deepEqual(await headers(), [inLog, inLog]);
  device.socket.close();
});

test('an error of the log fails the spans of a message, an invalid message has a span that has not failed', async (t) => {
  const { port, token, spans, hold, eventLog } = await traced(t);
  const device = await loginDevice({ port, token });
  device.send({ type: 'status', msgid: 'a1', traceparent, payload: { readings: [] } });
  assert.equal(await device.ack(), 'a1 invalid_report');
  const release = hold();
  device.status('a2', 1, { traceparent });
  await eventLog.close();
  release();
  assert.equal(await device.ack(), 'a2 unavailable');
  const [invalid, ...failed] = await spans();
  assert.deepEqual([invalid!.name, invalid!.failed], ['receive websocket', false]);
  assert.equal(invalid!.attributes['tailrace.outcome'], 'rejected');
  assertTrace(failed, 'websocket', 'unavailable');
  assert.deepEqual([failed[0]!.failed, failed[1]!.failed], [true, true]);
  device.socket.close();
});

test('the user property traceparent of MQTT 5 continues the trace of the sender, at each quality of service', async (t) => {
  const { mqttPort, token, headers, spans } = await traced(t, { settings: { mqttEnabled: true, mqttPort: 0 } });
  const credentials = { username: 'plant1.js', password: token };
  const url = `mqtt://127.0.0.1:${mqttPort}`;
  const client = await mqtt.connectAsync(url, { ...credentials, protocolVersion: 5, reconnectPeriod: 0 });
  t.after(() => client.end(true));
  const properties = { userProperties: { traceparent } };
  await client.publishAsync('plant1/js/telemetry/n', '1', { qos: 1 });
  await client.publishAsync('plant1/js/telemetry/n', '2', { qos: 1, properties });
  await client.publishAsync('plant1/js/telemetry/n', '3', { qos: 2, properties });
  const all = await spans();
  assert.equal(all.length, 4);
  assertTrace(all.slice(0, 2), 'mqtt');
  assertTrace(all.slice(2), 'mqtt');
  const inLog = [all[0]!, all[2]!].map(({ spanId }) => ({ traceparent: `00-${traceId}-${spanId}-01` }));
  assert.deepEqual(await headers(), [undefined, ...inLog]);
});

test('a message that the log refuses for now has one trace, of all its attempts', async (t) => {
  const { mqttPort, token, headers, spans, failEach } = await traced(t, {
    settings: { mqttEnabled: true, mqttPort: 0 },
  });
  const credentials = { username: 'plant1.js', password: token };
  const url = `mqtt://127.0.0.1:${mqttPort}`;
  const client = await mqtt.connectAsync(url, { ...credentials, protocolVersion: 5, reconnectPeriod: 0 });
  t.after(() => client.end(true));
  failEach(1, new TailraceError('unavailable', 'no broker'));
  const properties = { userProperties: { traceparent } };
  await client.publishAsync('plant1/js/telemetry/n', '1', { qos: 1, properties });
  const all = await spans();
  assert.equal(all.length, 2);
  assertTrace(all, 'mqtt');
  assert.deepEqual(await headers(), [{ traceparent: `00-${traceId}-${all[0]!.spanId}-01` }]);
});

test('a message of a broker continues the trace of its sender through the bridge', async (t) => {
  const mosquitto = await startMosquitto();
  t.after(() => mosquitto.stop());
  const { host, port } = mosquitto;
  const map = { payload: 'number', device: 'plant1.{2}', tag: '{3}' };
  const bridge = { name: 'b', url: `mqtt://${host}:${port}`, publish: ['plant1.>'] };
  const bridges = bridgesFrom(JSON.stringify({ bridges: [{ ...bridge, subscriptions: [{ filter: 'x/+/+', map }] }] }));
  const { headers, spans, metricIs, ingest } = await traced(t, { bridges });
  await metricIs('tailrace_ingest_bridge_connections{bridge="b"', 1);
  const sender = new Publisher({ host, port });
  t.after(() => sender.stop());
  sender.publish('x/press7/t', '1');
  sender.publish('x/press7/t', '2', { properties: { userProperties: [['traceparent', traceparent]] } });
  await metricIs('tailrace_ingest_bridge_messages_total{bridge="b",outcome="accepted"', 2);
  const all = await spans();
  assert.equal(all.length, 2);
  assertTrace(all, 'bridge');
  assert.deepEqual(await headers(), [undefined, { traceparent: `00-${traceId}-${all[0]!.spanId}-01` }]);
  await ingest.drain();
});

test('the will of a client continues the trace that it had at its CONNECT, and its record has the trace', async (t) => {
  const { mqttPort, token, headers, spans, metricIs } = await traced(t, {
    settings: { mqttEnabled: true, mqttPort: 0 },
  });
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${mqttPort}`, {
    ...{ username: 'plant1.js', password: token, protocolVersion: 5, reconnectPeriod: 0 },
    will: {
      ...{ topic: 'plant1/js/telemetry/n', payload: Buffer.from('1'), qos: 1, retain: false },
      properties: { userProperties: { traceparent } },
    },
  });
  client.on('error', () => {});
  client.stream.destroy();
  await metricIs('tailrace_ingest_messages_total{protocol="mqtt",outcome="accepted"', 1);
  const all = await spans();
  assert.equal(all.length, 2);
  assertTrace(all, 'mqtt');
  assert.deepEqual(await headers(), [{ traceparent: `00-${traceId}-${all[0]!.spanId}-01` }]);
  client.end(true);
});

test('a Sparkplug message continues the trace of its edge node, also one that was held for those before it', async (t) => {
  const { mqttPort, headers, spans, metricIs } = await traced(t, {
    settings: { mqttEnabled: true, mqttPort: 0, mqttSparkplug: 'active', mqttSparkplugPrefix: 'plant1' },
  });
  const node = 'plant1.g.n';
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${mqttPort}`, {
    ...{ username: node, password: await tokenFor([node]), protocolVersion: 5, reconnectPeriod: 0 },
  });
  t.after(() => client.end(true));
  const publish = async (type: string, seq: number, isTraced: boolean) => {
    const metrics = [metricOf('t', seq), ...(type === 'NBIRTH' ? [bdSeqOf(1)] : [])];
    const payload = Buffer.from(encodePayload({ timestamp: Date.now(), seq, metrics }));
    const properties = isTraced ? { properties: { userProperties: { traceparent } } } : {};
    await client.publishAsync(`spBv1.0/g/${type}/n`, payload, { qos: 1, ...properties });
  };
  await publish('NBIRTH', 0, false);
  await publish('NDATA', 1, true);
  // Acknowledged when the one before it has come.
  await Promise.all([publish('NDATA', 3, true), publish('NDATA', 2, false)]);
  await metricIs('tailrace_ingest_sparkplug_held_messages', 0);
  const all = await spans();
  assert.equal(all.length, 4);
  assertTrace(all.slice(0, 2), 'sparkplug');
  assertTrace(all.slice(2), 'sparkplug');
  const [first, second] = [all[0]!, all[2]!].map(({ spanId }) => ({ traceparent: `00-${traceId}-${spanId}-01` }));
  assert.deepEqual(await headers(), [undefined, first, undefined, second]);
});
