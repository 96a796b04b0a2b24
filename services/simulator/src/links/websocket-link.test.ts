import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WebSocketLike } from '@tailrace/client/websocket';
import { silentLogger } from '@tailrace/platform/logger';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import type { PlantCommand } from '../plant/command.ts';
import { WebSocketLink } from './websocket-link.ts';

interface Message {
  readonly type: string;
  readonly msgid?: string;
  readonly timestamp?: number;
  readonly payload?: Record<string, unknown>;
}

/** A socket whose server is the test. */
class FakeSocket implements WebSocketLike {
  readonly sent: Message[] = [];
  isClosed = false;
  readonly #listeners = new Map<string, ((event: never) => void)[]>();

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Message);
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.emit('close', { code: 1005, reason: '' });
  }

  addEventListener(type: string, listener: (event: never) => void): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }

  emit(type: string, event: object = {}): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event as never);
  }

  receive(message: object): void {
    this.emit('message', { data: JSON.stringify(message) });
  }

  of(type: string): Message[] {
    return this.sent.filter((message) => message.type === type);
  }
}

const device = 'plant1.line2.press1';
const always = () => true;

async function setUp(command: (device: string, command: PlantCommand) => void = () => {}) {
  const clock = createFakeClock();
  const sockets: FakeSocket[] = [];
  const warnings: object[] = [];
  const link = new WebSocketLink({
    url: 'http://ingest:8082',
    token: 'secret',
    devices: [device],
    logger: { ...silentLogger, warn: (facts) => void warnings.push(facts) },
    clock,
    random: () => 0.5,
    WebSocket: class extends FakeSocket {
      constructor() {
        super();
        sockets.push(this);
      }
    },
    command,
  });
  await link.start();
  await clock.advance(0);
  const accept = async () => {
    const socket = sockets.at(-1)!;
    socket.emit('open');
    socket.receive({
      type: 'hello',
      payload: { version: 1, node: 'i', time: clock.now(), challenge: 'c', authWithinMs: 1 },
    });
    const limits = {
      heartbeatMs: 1,
      ackWithinMs: 1,
      window: 64,
      windowBytes: 1e6,
      messageBytesMax: 1e6,
      batchMax: 500,
    };
    const rates = { messagesPerSecond: 100, eventsPerSecond: 20, idWindowMs: 120_000 };
    socket.receive({ type: 'welcome', payload: { session: 1, device, ...limits, ...rates } });
    await clock.advance(0);
    return socket;
  };
  const report = (value: number) => ({ device, time: clock.now(), readings: [{ tag: 'a', value }] });
  return { clock, sockets, link, accept, report, warnings };
}

test('a device sends its reports with their own time, and counts what is accepted', async () => {
  const { link, accept, report, clock } = await setUp();
  const sentAt = clock.now();
  link.publish([report(1)], always);
  await clock.advance(100);
  const socket = await accept();
  assert.deepEqual(socket.of('auth')[0]!.payload!['protocols'], ['command']);
  const [status] = socket.of('status');
  assert.equal(status!.timestamp, sentAt);
  assert.equal(link.stats().queuedReports, 1);
  socket.receive({ type: 'ack', msgid: status!.msgid, payload: { status: 'accepted' } });
  await link.drain();
  const { accepted, queuedReports } = link.stats();
  assert.deepEqual({ accepted, queuedReports }, { accepted: 1, queuedReports: 0 });
  await link.stop();
  assert.equal(clock.pending(), 0);
});

test('while its link is interrupted a device is away, and sends what it measured when the link is back', async () => {
  const { link, accept, report, clock, sockets, warnings } = await setUp();
  const first = await accept();
  const away = () => false;
  link.publish([report(1)], away);
  assert.ok(first.isClosed);
  const measuredAt = clock.now();
  for (let second = 0; second < 60; second++) {
    await clock.advance(1_000);
    link.publish([report(second)], away);
  }
  assert.equal(sockets.length, 1, 'no connection is opened meanwhile');
  link.publish([report(99)], always);
  await clock.advance(0);
  const second = await accept();
  const sent = second.of('status');
  assert.equal(sent.length, 62);
  assert.equal(sent[0]!.timestamp, measuredAt);
  assert.deepEqual(warnings, []);
  await link.stop();
  assert.equal(clock.pending(), 0);
});

test('a command is obeyed and answered, and one that the plant refuses fails with the reason', async () => {
  const obeyed: unknown[] = [];
  const { link, accept, clock } = await setUp((path, command) => {
    if (command.name === 'open') throw new TailraceError('forbidden', 'the gate is locked');
    obeyed.push([path, command]);
  });
  const socket = await accept();
  const command = (msgid: string, name: string, params: object) =>
    socket.receive({
      type: 'command',
      msgid,
      to: device,
      payload: { name, params, deadline: clock.now() + 5_000, expiresInMs: 5_000, qos: 1 },
    });
  command('c1', 'set', { stroke_rate_setpoint: 12 });
  command('c2', 'open', {});
  assert.deepEqual(obeyed, [[device, { name: 'set', params: { stroke_rate_setpoint: 12 } }]]);
  assert.deepEqual(
    socket.of('ack').map(({ msgid }) => msgid),
    ['c1', 'c2'],
  );
  assert.deepEqual(
    socket.of('reply').map(({ payload }) => payload),
    [
      { command: 'c1', state: 'done' },
      { command: 'c2', state: 'failed', code: 'forbidden', message: 'the gate is locked' },
    ],
  );
  await link.stop();
});

test('a warning names the reason for which ingest rejects a report', async () => {
  const { link, accept, report, clock, warnings } = await setUp();
  const socket = await accept();
  link.publish([report(1)], always);
  const [status] = socket.of('status');
  const payload = { status: 'rejected', code: 'forbidden', message: 'not your device', retryable: false };
  socket.receive({ type: 'ack', msgid: status!.msgid, payload });
  await clock.advance(0);
  assert.deepEqual(warnings, [{ device, code: 'forbidden', reason: 'not your device' }]);
  await link.stop();
});
