import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '@tailrace/testkit/random';
import { shortly, split } from '../test/raw-packets.ts';
import { type AckFormat, AckQueue } from './ack-queue.ts';

const format: AckFormat = { version: 5, packetBytesMax: Number.POSITIVE_INFINITY, withReasonStrings: true };

function taken(queue: AckQueue, options: Partial<AckFormat> = {}): string[] {
  return split(queue.takeSettled({ ...format, ...options }) ?? Buffer.alloc(0)).map(shortly);
}

test('returns the settled messages before the first unsettled one, in the order of the messages', () => {
  const queue = new AckQueue();
  const tickets = [queue.add(5, 1), queue.add(4, 2), queue.add(9, 1)];
  queue.settle(tickets[1]!, 0);
  assert.equal(queue.takeSettled(format), undefined);
  queue.settle(tickets[0]!, 0x87);
  assert.deepEqual(taken(queue), ['puback 5 0x87', 'pubrec 4']);
  assert.deepEqual([queue.size, queue.unsettled], [1, 1]);
  queue.settle(tickets[2]!, 0);
  assert.deepEqual(taken(queue), ['puback 9']);
});

test('keeps the order over thousands of messages, settled in random order, while the ring grows and wraps', () => {
  const queue = new AckQueue();
  const waiting: number[] = [];
  const sent: string[] = [];
  const random = seededRandom(7);
  let added = 0;
  while (sent.length < 5000) {
    if (random() < 0.5 && waiting.length < 500) waiting.push(queue.add((added++ % 65_535) + 1, 1));
    else if (waiting.length > 0) queue.settle(waiting.splice(Math.floor(random() * waiting.length), 1)[0]!, 0);
    sent.push(...taken(queue, { version: 4 }));
  }
  assert.deepEqual(
    sent,
    Array.from(sent, (_, index) => `puback ${(index % 65_535) + 1}`),
  );
});

test('writes a Reason String where the client wants one and the packet fits', () => {
  for (const [options, hasText] of [
    [{}, true],
    [{ withReasonStrings: false }, false],
    [{ packetBytesMax: 12 }, false],
    [{ version: 4 }, false],
  ] as const) {
    const queue = new AckQueue();
    queue.settle(queue.add(1, 1), 0x83, 'no number');
    const acks = queue.takeSettled({ ...format, ...options })!;
    assert.equal(acks.includes('no number'), hasText);
  }
});

test('refuses a second outcome, and a ticket that it has not', () => {
  const queue = new AckQueue();
  const ticket = queue.add(1, 1);
  queue.settle(ticket, 0);
  assert.throws(() => queue.settle(ticket, 0), { code: 'internal', message: /settled once/ });
  queue.takeSettled(format);
  assert.throws(() => queue.settle(ticket, 0), { code: 'internal' });
  assert.throws(() => queue.settle(7, 0), { code: 'internal' });
});

test('counts the positive PUBREC packets that were taken', () => {
  const queue = new AckQueue();
  for (const [qos, reason] of [
    [2, 0],
    [2, 0x80],
    [1, 0],
    [2, 0x10],
  ] as const) {
    queue.settle(queue.add(1, qos), reason);
  }
  taken(queue);
  assert.equal(queue.takenReceipts(), 2);
  assert.equal(queue.takenReceipts(), 0);
});
