import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createMemoryNetwork } from '@tailrace/bus/memory';
import { silentLogger } from '@tailrace/platform/logger';
import { anyCommandSubject } from '@tailrace/protocol/command-subject';
import { encodeCommandRequest } from '@tailrace/protocol/device-command';
import { deviceCommandFromJson } from '@tailrace/protocol/device-command-json';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { nextTurn, type ServerMessage, startDevices } from '../../test/device-fixture.ts';
import { commandReplyFrom } from './device-command.ts';
import {
  authFrom,
  batchFrom,
  deviceMessageTypes,
  envelopeFrom,
  frameFrom,
  messageFrom,
  presenceFrom,
  receiptFrom,
  takesCommandsFrom,
} from './envelope.ts';

const document = readFileSync(join(import.meta.dirname, '../../../../docs/PROTOCOL.md'), 'utf8');

function examplesOf(kind: string): string[] {
  const pattern = new RegExp(`<!-- ${kind} -->\n\`\`\`json\n(.*?)\`\`\``, 'gs');
  return [...document.matchAll(pattern)].map(([, text]) => text!);
}

test('each message of a device in the protocol is read by ingest, and each type has an example', () => {
  const examples = examplesOf('device → server');
  const types = examples.map((text) => {
    const envelope = envelopeFrom(frameFrom(text));
    const frame = { text, bytes: text.length, receivedMs: 0 };
    if (envelope.type === 'auth') {
      assert.equal(authFrom(envelope).device, 'plant1.line2.press7');
      assert.equal(takesCommandsFrom(envelope), true);
    } else if (envelope.type === 'presence') assert.equal(presenceFrom(envelope), true);
    else if (envelope.type === 'ack') assert.equal(receiptFrom(envelope), 'c-17');
    else if (envelope.type === 'reply') assert.equal(commandReplyFrom(envelope.payload).id, 'c-17');
    else if (envelope.type === 'batch') {
      const messages = batchFrom(envelope, 'plant1.a', frame).messages();
      for (const message of messages) assert.ok('report' in message && message.report().readings.length > 0);
    } else if (envelope.type !== 'bye') {
      const report = messageFrom(envelope, 'plant1.a', frame).report();
      assert.equal(report.id, envelope.msgid);
    }
    return envelope.type;
  });
  assert.deepEqual(new Set(types), new Set(deviceMessageTypes));
});

test('the messages of the server in the protocol have the fields that ingest sends', async (t) => {
  const clock = createFakeClock({ nowMs: 1_764_446_400_000 });
  const network = createMemoryNetwork({ clock });
  const { login, connect, held, ingest, tokenFor } = await startDevices(t, {
    clock,
    bus: network.createBus({ node: 'ingest-0', logger: silentLogger }),
    settings: { tokenClockToleranceMs: 0 },
  });
  const hello = await connect().next('hello');
  const token = await tokenFor(['plant1.>'], { expiresInMs: 60_500, receiveCommands: ['plant1.>'] });
  const device = await login({ token, protocols: ['command'] });
  const sent = new Map<string, ServerMessage>([['hello', hello]]);
  const shape = ({ msgid, type, payload }: ServerMessage) =>
    [type, msgid === undefined ? '' : 'msgid', ...Object.keys(payload).sort()].join(' ');
  const take = () => {
    for (const message of device.received.splice(0)) sent.set(shape(message), message);
  };
  const plain = { type: 'status', payload: { readings: [{ tag: 't', value: 1 }] } };
  device.send({ ...plain, msgid: 'a1' }, { ...plain, msgid: 'a2' });
  device.send({
    type: 'batch',
    msgid: 'a3',
    payload: { messages: [plain, { ...plain, msgid: 'e1', from: 'plant2.a' }] },
  });
  const [json] = examplesOf('command');
  const command = { ...deviceCommandFromJson(JSON.parse(json!)), deadline: clock.now() + 10_000 };
  const bus = network.createBus({ node: 'control', logger: silentLogger });
  await bus.start();
  void bus.request(anyCommandSubject, encodeCommandRequest({ command }), { deadlineMs: 2_000 });
  await clock.advance(1);
  await nextTurn();
  for (const record of held.splice(1, 1)) record.fail(new TailraceError('unavailable', 'no broker'));
  for (const record of held.splice(0)) record.confirm();
  await clock.advance(2_000);
  void ingest.drain();
  await nextTurn();
  take();
  sent.set('hello', hello);
  const shapes = new Set([...sent.values()].map(shape));
  for (const text of examplesOf('server → device')) {
    const example = JSON.parse(text) as ServerMessage;
    // The welcome was taken by `login`, and `conflict` needs a fight.
    if (example.type === 'welcome' || example.payload.code === 'conflict') continue;
    assert.ok(shapes.has(shape(example)), `${shape(example)}: ${[...shapes].join('; ')}`);
  }
});
