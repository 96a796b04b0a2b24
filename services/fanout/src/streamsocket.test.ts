import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { createFakeClock } from '@tailrace/testkit/fakeclock';
import { StreamSocket } from './streamsocket.ts';

/** A connection whose buffer the test fills. */
function arrangement() {
  const clock = createFakeClock();
  const done: string[] = [];
  const topics = new Set<string>();
  const connection = {
    buffered: 0,
    send: (frame: string | Uint8Array, isBinary: boolean) => void done.push(`send ${frame} ${isBinary}`),
    ping: () => void done.push('ping'),
    subscribe: (topic: string) => void topics.add(topic),
    unsubscribe: (topic: string) => void topics.delete(topic),
    getTopics: () => [...topics],
    getBufferedAmount() {
      return this.buffered;
    },
    end(code: number) {
      done.push(`end ${code}`);
      socket.closed();
    },
    close() {
      done.push('cut');
      socket.closed();
    },
  };
  const socket: StreamSocket = new StreamSocket(connection, { socketBytesMax: 1_000, goodbyeMs: 10_000 }, clock);
  return { clock, connection, socket, done, topics };
}

test('frames go out as text and as bytes, and pings with them', () => {
  const { socket, done } = arrangement();
  socket.send('a');
  socket.send(Uint8Array.of(1));
  socket.ping();
  assert.deepEqual(done, ['send a false', 'send 1 true', 'ping']);
});

test('a socket that has gone is not touched', () => {
  const { socket, done, topics } = arrangement();
  socket.closed();
  socket.send('a');
  socket.ping();
  socket.join('t');
  socket.leave('t');
  socket.end(1012, '');
  socket.drained();
  assert.deepEqual(done, []);
  assert.equal(topics.size, 0);
});

test('a lost frame is told in the next turn, once, and nothing newer is sent', async () => {
  const { socket, done } = arrangement();
  let told = 0;
  assert.equal(
    socket.lose(() => told++),
    true,
  );
  assert.equal(
    socket.lose(() => told++),
    false,
  );
  assert.equal(told, 0, 'not in the middle of a publish');
  assert.equal(socket.lost, true);
  socket.send('newer');
  socket.ping();
  await turn();
  socket.drained();
  assert.equal(told, 1);
  assert.deepEqual(done, []);
});

test('room in the buffer tells a lost frame at once, before anything newer could take the room', () => {
  const { socket, connection, done, topics } = arrangement();
  socket.join('t');
  connection.buffered = 2_000;
  socket.lose(() => socket.end(4002, ''));
  connection.buffered = 900;
  socket.drained();
  assert.deepEqual(done, ['end 4002']);
  assert.equal(topics.size, 0, 'what waits in the topics would go before the goodbye');
});

test('a goodbye that has no room waits for it, off all topics', async () => {
  const { socket, connection, done, topics, clock } = arrangement();
  socket.join('t');
  connection.buffered = 2_000;
  socket.lose(() => socket.end(4002, ''));
  await turn();
  assert.deepEqual(done, []);
  assert.equal(topics.size, 0);
  connection.buffered = 1_001;
  socket.drained();
  socket.join('u');
  socket.end(1012, '');
  assert.deepEqual(done, []);
  assert.equal(topics.size, 0);
  connection.buffered = 1_000;
  socket.drained();
  assert.deepEqual(done, ['end 4002']);
  assert.equal(clock.pending(), 0);
});

test('a client that makes no room for the goodbye is cut at the deadline', async () => {
  const { socket, connection, done, clock } = arrangement();
  connection.buffered = 2_000;
  socket.end(1012, '');
  await clock.advance(9_999);
  assert.deepEqual(done, []);
  await clock.advance(1);
  assert.deepEqual(done, ['cut']);
});

test('frames that are dropped after the goodbye was said are no loss', () => {
  const { socket, connection } = arrangement();
  connection.buffered = 2_000;
  socket.end(1012, '');
  assert.equal(
    socket.lose(() => assert.fail()),
    false,
  );
});
