import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { tailrace } from '@tailrace/protocol/generated';
import { alarmEvent, alarmOf, bytesOf, commandEvent, leaseEvent } from '../../test/alarm-events.ts';
import type { ControlEvent } from './control-event.ts';
import { EventBoard } from './event-board.ts';

const device = 'plant.press';

function createBoard(limits = { windowBytesMax: 65_536, alarmsMax: 100 }) {
  const counts = { accepted: 0, repeated: 0, invalid: 0, dropped: 0 };
  const board = new EventBoard(0, limits, counts);
  const events: ControlEvent[] = [];
  board.onEvents = (accepted) => events.push(...accepted);
  board.reset(0);
  board.ready(0);
  let seq = 0;
  const take = (...taken: tailrace.v1.Event.$Properties[]) => {
    const records = taken.map((event) => ({ seq: seq++, value: bytesOf(event) }));
    board.take(records, seq);
  };
  return { board, counts, events, take };
}

const numbersOf = (events: Iterable<ControlEvent>) =>
  [...events].map((event) => (event.kind === 'alarm' ? event.transition.number : -1));

test('a transition that is written again, or by a process that has lost the partition, counts once', () => {
  const { events, counts, take } = createBoard();
  take(alarmEvent(alarmOf(device, 1)), alarmEvent(alarmOf(device, 1)));
  // A new process takes over at position 2; the former one goes on writing.
  take({ alarmOwner: { node: 'b' } }, alarmEvent(alarmOf(device, 2), 2));
  take(alarmEvent(alarmOf(device, 3), 0), alarmEvent(alarmOf(device, 3, { value: 1 }), 2));
  assert.deepEqual(numbersOf(events), [1, 2, 3]);
  assert.equal(events.at(-1)?.kind === 'alarm' && events.at(-1)!.seq, 5);
  assert.equal(counts.repeated, 2);
});

test('the current alarms are those that are not normal', () => {
  const { board, take } = createBoard();
  take(alarmEvent(alarmOf(device, 1)), alarmEvent(alarmOf('plant.saw', 1)), alarmEvent(alarmOf(device, 2)));
  assert.deepEqual(
    [...board.current()].map(({ of }) => of),
    ['plant.saw'],
  );
});

test('events of sessions and records that are no event are skipped', () => {
  const { board, events, counts, take } = createBoard();
  take({ sessionStarted: { session: 1 } }, { ingestAlive: { process: 'p' } }, alarmEvent(alarmOf(device, 1)));
  board.take([{ seq: 3, value: Uint8Array.of(0x2a, 0xff) }], 4);
  board.take([{ seq: 4, value: new Uint8Array(0) }], 5);
  assert.deepEqual(numbersOf(events), [1]);
  assert.equal(counts.invalid, 1);
  assert.equal(board.next, 5);
});

test('the window has the newest events, within its bytes', () => {
  const { board, take } = createBoard({ windowBytesMax: 2_000, alarmsMax: 100 });
  for (let number = 1; number <= 100; number++) take(alarmEvent(alarmOf(device, number)));
  const window = board.events(0);
  assert.ok(window.length > 3 && board.windowBytes <= 2_000, `${window.length} events, ${board.windowBytes} bytes`);
  assert.equal(window[0]!.seq, board.windowFrom);
  assert.equal(window.at(-1)!.seq, 99);
});

test('beyond the limit of alarms the one that changed longest ago is left out, and counted', () => {
  const { board, counts, take } = createBoard({ windowBytesMax: 65_536, alarmsMax: 2 });
  for (const name of ['a', 'b', 'c']) take(alarmEvent(alarmOf(name, 1)));
  assert.deepEqual(
    [...board.current()].map(({ of }) => of),
    ['b', 'c'],
  );
  assert.equal(counts.dropped, 1);
});

test('a checkpoint adds alarms that are older than the topic, and none that has changed since', () => {
  const { board, take } = createBoard();
  take(alarmEvent(alarmOf(device, 4)));
  const restore = (transition: ReturnType<typeof alarmOf>) => {
    const event = alarmEvent(transition);
    board.restore(event.alarmTransition!, bytesOf(event));
  };
  restore(alarmOf(device, 3));
  restore(alarmOf('plant.old', 7));
  assert.deepEqual(
    [...board.current()].map(({ of, seq }) => [of, seq]),
    [['plant.old', undefined]],
  );
});

test('a board made of the state of another one accepts the same events', () => {
  const one = createBoard();
  one.take({ alarmOwner: { node: 'a' } }, alarmEvent(alarmOf('a', 3), 0), alarmEvent(alarmOf('b', 1), 0));
  const command = { id: 'c', device, number: 1, state: 'sent', time: 1 };
  one.take(commandEvent(command), leaseEvent({ scope: 'plant.>', token: 4, holder: 'anna', time: 1 }));
  const other = new EventBoard(0, { windowBytesMax: 65_536, alarmsMax: 10 }, one.counts);
  other.reset(one.board.next);
  for (const { seq, bytes } of one.board.state()) other.takeCurrent(seq, bytes);
  other.ready(one.board.next);
  const describe = (board: EventBoard) => [...board.current()].map(({ kind, of, seq }) => [kind, of, seq]).sort();
  assert.deepEqual(describe(other), describe(one.board));
  assert.equal(describe(other).length, 4);
  const repeated: ControlEvent[] = [];
  other.onEvents = (events) => repeated.push(...events);
  other.take([{ seq: 5, value: bytesOf(commandEvent(command)) }], 6);
  assert.deepEqual(repeated, []);
});

test('a command has each of its states once, and a final one is not in progress', () => {
  const { board, events, take } = createBoard();
  const states = ['accepted', 'queued', 'queued', 'sent', 'done'];
  const numbers = [1, 2, 2, 3, 4];
  states.forEach((state, i) => {
    take(commandEvent({ id: 'c', device, number: numbers[i]!, state, time: i }));
  });
  assert.equal(events.length, 4);
  assert.deepEqual([...board.current()], []);
  assert.equal(board.commandEvents('c').length, 4);
});

test('a lease of an earlier holder changes nothing', () => {
  const { board, take } = createBoard();
  take(leaseEvent({ scope: 'plant.>', token: 2, holder: 'anna', time: 10 }));
  take(leaseEvent({ scope: 'plant.>', token: 3, holder: 'ben', time: 20 }));
  take(leaseEvent({ scope: 'plant.>', token: 2, holder: 'anna', time: 30 }));
  const [lease] = [...board.current()];
  assert.ok(lease?.kind === 'lease' && lease.transition.holder === 'ben');
  take(leaseEvent({ scope: 'plant.>', token: 3, time: 40 }));
  assert.deepEqual([...board.current()], []);
});
