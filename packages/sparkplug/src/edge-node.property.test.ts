import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { createNode, data, message, metricOf, nodeBirth, nodeDeath, startMs } from '../test/fixture.ts';
import type { NodeMessage } from './node-events.ts';
import { defaultReorderLimits } from './reorder-window.ts';

/** The same cases in every run; a failure prints its own seed and path. */

const devices = [undefined, 'd1', 'd2'] as const;

interface Sent {
  readonly message: NodeMessage;
  /** The reading of the message, as RecordingHandlers writes it. */
  readonly text: string;
}

/** What a node sends after its birth: data of the node and its devices, births and deaths of devices. */
const kinds = fc.array(fc.tuple(fc.constantFrom(...devices), fc.nat({ max: 9 })), { minLength: 1, maxLength: 300 });

/** Numbers the messages; every message has its own timestamp and value. */
function sentMessages(steps: readonly (readonly [string | undefined, number])[]): Sent[] {
  return steps.map(([device, kind], at) => {
    const seq = (at + 1) % 256;
    const value = at + 1;
    const timestamp = startMs + value;
    const text = `${device === undefined ? '' : `${device}/`}m=${value}`;
    if (device !== undefined && kind === 0)
      return { message: message('DBIRTH', { device, seq, timestamp, metrics: [metricOf('m', value)] }), text };
    if (device !== undefined && kind === 1) return { message: message('DDEATH', { device, seq, timestamp }), text: '' };
    return { message: data(seq, 'm', value, { timestamp, ...(device === undefined ? {} : { device }) }), text };
  });
}

const textsOf = (sent: readonly Sent[]) => sent.map(({ text }) => text).filter((text) => text !== '');

/** Moves each message back by at most `most` places. */
function displaced<T>(items: readonly T[], by: readonly number[], most: number): T[] {
  return items
    .map((item, at) => ({ item, at, key: at + (by[at % by.length]! % (most + 1)) + 0.5 }))
    .sort((a, b) => a.key - b.key || a.at - b.at)
    .map(({ item }) => item);
}

const displacements = fc.array(fc.nat({ max: 1_000 }), { minLength: 1, maxLength: 40 });

test('property: for any order within the window every reading comes once, in the order of the node', () => {
  fc.assert(
    fc.property(kinds, displacements, fc.array(fc.nat(), { maxLength: 20 }), (steps, by, twice) => {
      const { node, seen, counts, receive } = createNode();
      const sent = sentMessages(steps);
      const order = displaced(sent, by, 30);
      // Some messages come twice, as QoS 1 allows: the second one right after, or a few messages later.
      for (const [index, at] of twice.entries()) {
        const from = at % order.length;
        order.splice(Math.min(order.length, from + 1 + (index % 8)), 0, order[from]!);
      }
      receive(nodeBirth());
      for (const [index, each] of order.entries()) {
        node.receive(each.message, startMs + index);
        assert.ok(node.heldMessages <= defaultReorderLimits.messagesMax);
      }
      assert.deepEqual(seen.texts, textsOf(sent));
      assert.deepEqual([seen.gaps, seen.letters], [[], []]);
      assert.ok(!seen.causes.includes('gap'));
      assert.equal(counts.duplicates, twice.length);
      assert.equal(node.state, 'online');
      assert.equal(node.heldBytes, 0);
    }),
    fuzzed(300),
  );
});

test('fuzz: for any order, loss and pause, every reading that comes is reported once', () => {
  const event = fc.record({
    at: fc.nat(),
    kind: fc.constantFrom('lose', 'pause', 'death', 'birth', 'rebirth', 'malformed', 'tick'),
  });
  const events = fc.array(event, { maxLength: 30 });
  fc.assert(
    fc.property(kinds, displacements, events, (steps, by, happenings) => {
      const { node, seen } = createNode();
      const order: (Sent | string)[] = displaced(sentMessages(steps), by, 200);
      for (const { at, kind } of happenings) {
        const index = at % (order.length + 1);
        if (kind === 'lose') order.splice(index, 1);
        else order.splice(index, 0, kind);
      }
      let nowMs = startMs;
      let bdSeq = 1;
      let births = 0;
      const expected: string[] = [];
      const step = (each: Sent | string) => {
        if (typeof each !== 'string') {
          if (each.text !== '') expected.push(each.text);
          node.receive(each.message, nowMs);
        } else if (each === 'pause') nowMs += 3_000;
        else if (each === 'tick') node.tick(nowMs);
        else if (each === 'malformed') node.receive({ type: 'NDATA', bytes: Uint8Array.of(0xff) }, nowMs);
        else if (each === 'death') node.receive(nodeDeath(bdSeq), nowMs);
        else {
          if (each === 'birth') bdSeq++;
          // Its time is amid those of the data, so that some are late.
          const timestamp = startMs + ++births * 7;
          node.receive(nodeBirth({ bdSeq, seq: births % 256, timestamp, metrics: [metricOf('b', births)] }), nowMs);
          expected.push(`b=${births}`);
        }
      };
      for (const each of order) {
        step(each);
        nowMs += 1;
      }
      node.tick(nowMs + defaultReorderLimits.reorderMs);
      assert.deepEqual(seen.texts.toSorted(), expected.toSorted());
      assert.equal(node.heldMessages, 0);
      assert.equal(node.heldBytes, 0);
      assertPresence(seen.presences);
    }),
    fuzzed(300),
  );
});

/** A device changes only to the other state, and to online only while its node is online. */
function assertPresence(presences: readonly (readonly { device: string | undefined; isOnline: boolean }[])[]): void {
  const online = new Set<string | undefined>();
  for (const { device, isOnline } of presences.flat()) {
    if (device !== undefined) assert.notEqual(online.has(device), isOnline, `${device} ${isOnline}`);
    if (device !== undefined && isOnline) assert.ok(online.has(undefined), device);
    if (isOnline) online.add(device);
    else online.delete(device);
  }
}

test('fuzz: hostile payloads of every type never throw', () => {
  const types = ['NBIRTH', 'NDATA', 'NDEATH', 'DBIRTH', 'DDATA', 'DDEATH', 'NCMD', 'DCMD'] as const;
  const hostile = fc.record({
    type: fc.constantFrom(...types),
    isRetained: fc.boolean(),
    seq: fc.nat({ max: 300 }),
    edits: fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }),
    metrics: fc.array(
      fc.record(
        {
          name: fc.constantFrom('', 'a', 'b', 'bdSeq', 'Node Control/Rebirth', '\0'),
          alias: fc.nat({ max: 3 }),
          datatype: fc.nat({ max: 36 }),
          isNull: fc.boolean(),
          isHistorical: fc.boolean(),
          longValue: fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
          intValue: fc.nat(),
        },
        { requiredKeys: [], noNullPrototype: true },
      ),
      { maxLength: 4 },
    ),
  });
  fc.assert(
    fc.property(fc.array(hostile, { maxLength: 40 }), (messages) => {
      const { node, seen } = createNode();
      let nowMs = startMs;
      for (const { type, isRetained, seq, edits, metrics } of messages) {
        const device = type.startsWith('D') ? 'd1' : undefined;
        const { bytes } = message(type, { seq, metrics });
        for (const [at, byte] of edits) bytes[at % bytes.length] = byte;
        node.receive({ type, device, bytes, isRetained }, nowMs);
        nowMs += 500;
      }
      node.tick(nowMs + defaultReorderLimits.reorderMs);
      assert.equal(node.heldMessages, 0);
      for (const { readings } of seen.batches) assert.ok(readings.length >= 1 && readings.length <= 1_000);
    }),
    fuzzed(500),
  );
});
