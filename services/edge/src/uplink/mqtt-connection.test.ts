import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodePacket } from '@tailrace/mqtt/codec';
import { wirePair } from '@tailrace/mqtt/memory-wire';
import { encodePublish } from '@tailrace/mqtt/publish';
import type { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { MqttConnection } from './mqtt-connection.ts';

const topic = 'plant1/edge1/command';

test('a command that cannot be read is refused, and its error has what was expected and the start of what came', async () => {
  const errors: TailraceError[] = [];
  const received: Buffer[] = [];
  const [near, far] = wirePair();
  far.handlers = { bytes: (bytes) => void received.push(Buffer.from(bytes)), writable() {}, closed() {} };
  const connection = new MqttConnection({
    ...{ url: 'mqtt://127.0.0.1', device: 'plant1.edge1', token: 'token', clock: createFakeClock(), random: () => 0.5 },
    dial: (handlers) => {
      near.handlers = handlers;
      return near;
    },
    onState() {},
    onCommand: () => assert.fail('no command can be read'),
    onError: (error) => errors.push(error),
  });
  connection.start();
  await new Promise((resolve) => setImmediate(resolve));
  far.send(encodePacket({ cmd: 'connack', reasonCode: 0, sessionPresent: false }, 5));
  far.send(encodePacket({ cmd: 'suback', messageId: 1, granted: [1] }, 5));
  assert.equal(connection.state.name, 'live');
  received.length = 0;
  const payloads = ['{"id":', '[1,2]', 'null', `{"id":7,"text":"${'x'.repeat(10_000)}"}`];
  for (const [index, text] of payloads.entries()) {
    const message = { topic, payload: Buffer.from(text), qos: 1 } as const;
    far.send(encodePublish(message, 5, { packetId: index + 1, dup: false }));
  }
  // PUBACK with 0x83.
  assert.deepEqual(
    received.map((packet) => [packet[0], packet[3], packet[4]]),
    payloads.map((_, index) => [0x40, index + 1, 0x83]),
  );
  assert.deepEqual(
    errors.map(({ code }) => code),
    payloads.map(() => 'invalid_message'),
  );
  for (const { message } of errors) {
    assert.match(message, /^plant1\/edge1\/command: expected (JSON|a command with an id), got /);
    assert.ok(message.length < 250, `${message.length} characters`);
  }
  await connection.close();
});
