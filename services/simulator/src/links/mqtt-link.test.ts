import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodePacket, encodePacket } from '@tailrace/mqtt/codec';
import type { Wire, WireHandlers } from '@tailrace/mqtt/wire';
import { silentLogger } from '@tailrace/platform/logger';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import type { PlantCommand } from '../plant/command.ts';
import { MqttLink } from './mqtt-link.ts';

const device = 'plant1.line3.press1';
const topic = 'plant1/line3/press1';
const always = () => true;

/** The listener of one connection: it accepts what comes, and keeps it. */
class FakeListener implements Wire {
  readonly packets: Record<string, unknown>[] = [];
  isClosed = false;
  isAcknowledging = true;
  readonly #handlers: WireHandlers;

  constructor(handlers: WireHandlers) {
    this.#handlers = handlers;
  }

  send(bytes: Uint8Array): boolean {
    const packet = decodePacket(Buffer.from(bytes), 5) as unknown as Record<string, unknown>;
    this.packets.push(packet);
    const { cmd, messageId } = packet as { cmd: string; messageId: number };
    if (cmd === 'connect') this.reply({ cmd: 'connack', sessionPresent: false, reasonCode: 0, properties: {} });
    else if (cmd === 'subscribe') this.reply({ cmd: 'suback', messageId, granted: [1] });
    else if (cmd === 'publish' && this.isAcknowledging) this.reply({ cmd: 'puback', messageId, reasonCode: 0 });
    return true;
  }

  reply(packet: object): void {
    const bytes = encodePacket(packet as never, 5);
    queueMicrotask(() => this.#handlers.bytes(bytes));
  }

  pause(): void {}
  resume(): void {}

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    queueMicrotask(() => this.#handlers.closed(undefined));
  }

  /** Payloads of a topic, as JSON. */
  published(name: string): unknown[] {
    return this.packets
      .filter((packet) => packet['cmd'] === 'publish' && packet['topic'] === name)
      .map((packet) => JSON.parse(String(packet['payload'])) as unknown);
  }
}

async function setUp(command: (device: string, command: PlantCommand) => void = () => {}) {
  const clock = createFakeClock();
  const listeners: FakeListener[] = [];
  const link = new MqttLink({
    url: 'mqtt://ingest:1883',
    token: 'secret',
    devices: [device],
    logger: silentLogger,
    clock,
    random: () => 0.5,
    command,
    dial: (handlers) => {
      const listener = new FakeListener(handlers);
      listeners.push(listener);
      return listener;
    },
  });
  await link.start();
  await clock.advance(0);
  const report = (value: number) => ({ device, time: clock.now(), readings: [{ tag: 'a', value }] });
  return { clock, listeners, link, report };
}

test('a device connects with its path and token, and reports on its topic at QoS 1', async () => {
  const { link, listeners, clock, report } = await setUp();
  link.publish([report(1)], always);
  await link.drain();
  const [listener] = listeners;
  const connect = listener!.packets[0]!;
  assert.deepEqual([connect['clientId'], connect['username'], String(connect['password'])], [device, device, 'secret']);
  assert.deepEqual(listener!.published(`${topic}/telemetry`), [
    { time: clock.now(), readings: [{ tag: 'a', value: 1 }] },
  ]);
  const { accepted, queuedReports } = link.stats();
  assert.deepEqual([accepted, queuedReports], [1, 0]);
  await link.stop();
  assert.equal(clock.pending(), 0);
});

test('while its link is interrupted a device is away, and sends what it measured when the link is back', async () => {
  const { link, listeners, clock, report } = await setUp();
  for (let second = 0; second < 60; second++) {
    link.publish([report(second)], () => false);
    await clock.advance(1_000);
  }
  assert.deepEqual([listeners.length, listeners[0]!.isClosed], [1, true]);
  link.publish([report(60)], always);
  await clock.advance(0);
  await link.drain();
  const values = (listeners[1]!.published(`${topic}/telemetry`) as { readings: { value: number }[] }[]).map(
    ({ readings }) => readings[0]!.value,
  );
  assert.deepEqual(
    values,
    Array.from({ length: 61 }, (_, second) => second),
  );
  await link.stop();
});

test('a command is obeyed and answered, and one that the plant refuses fails with the reason', async () => {
  const obeyed: unknown[] = [];
  const { link, listeners, clock } = await setUp((path, command) => {
    if (command.name === 'open') throw new TailraceError('forbidden', 'the gate is locked');
    obeyed.push([path, command]);
  });
  const [listener] = listeners;
  const send = (messageId: number, body: object) => {
    const payload = Buffer.from(JSON.stringify(body));
    listener!.reply({
      cmd: 'publish',
      topic: `${topic}/command`,
      payload,
      qos: 1,
      messageId,
      dup: false,
      retain: false,
    });
  };
  send(1, { id: 'c1', name: 'set', params: { stroke_rate_setpoint: 12 } });
  send(2, { id: 'c2', name: 'open' });
  await clock.advance(0);
  assert.deepEqual(obeyed, [[device, { name: 'set', params: { stroke_rate_setpoint: 12 } }]]);
  assert.deepEqual(listener!.published(`${topic}/reply`), [
    { id: 'c1', state: 'done' },
    { id: 'c2', state: 'failed', code: 'forbidden', message: 'the gate is locked' },
  ]);
  assert.equal(listener!.packets.filter(({ cmd }) => cmd === 'puback').length, 2);
  await link.stop();
});
