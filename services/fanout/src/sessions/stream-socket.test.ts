import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { StreamSocket } from './stream-socket.ts';

const limits = {
  socketHighWaterBytes: 400,
  socketBytesMax: 1_000,
  repliesBytesMax: 10,
  lagMsMax: 30_000,
  pongDeadlineMs: 10_000,
};

/** A connection whose buffer the test fills. */
function createSocket() {
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
      done.push('terminate');
      socket.closed();
    },
  };
  const counts = { tooSlow: 0, lagging: 0, lagMs: 0, replies: { bytes: 0 } };
  const socket: StreamSocket = new StreamSocket(connection, limits, clock, counts);
  socket.watcher = {
    onFull: () => void done.push('full'),
    onStalled: () => void done.push('stalled'),
  };
  /** Sets the waiting bytes, and calls the drain handler. */
  const drainTo = (bytes: number) => {
    connection.buffered = bytes;
    socket.drained();
  };
  return { clock, connection, socket, done, topics, counts, drainTo };
}

test('frames go out as text and as bytes, and pings with them', () => {
  const { socket, done } = createSocket();
  socket.send('a');
  socket.sendData(Uint8Array.of(1));
  socket.ping();
  assert.deepEqual(done, ['send a false', 'send 1 true', 'ping']);
});

test('a closed socket is not used', () => {
  const { socket, done, topics } = createSocket();
  socket.closed();
  socket.send('a');
  socket.sendData('b');
  socket.ping();
  socket.join('t');
  socket.leave('t');
  socket.end(1012, '');
  socket.check();
  socket.drained();
  assert.equal(socket.whenWritable(), undefined, 'no caller waits for a socket that never drains');
  assert.deepEqual(done, []);
  assert.equal(topics.size, 0);
});

test('a socket above the high water is full, once it is on a topic', () => {
  const { socket, connection, done, drainTo } = createSocket();
  connection.buffered = 401;
  socket.check();
  assert.deepEqual(done, [], 'nothing that is published is sent to it');
  socket.join('t');
  socket.check();
  drainTo(401);
  assert.deepEqual(done, ['full', 'full']);
  drainTo(400);
  assert.deepEqual(done, ['full', 'full']);
});

test('data waits until at most half of the high water waits; replies do not', async () => {
  const { socket, connection, done, drainTo } = createSocket();
  assert.equal(socket.whenWritable(), undefined);
  connection.buffered = 201;
  let woken = 0;
  socket.whenWritable()?.then(() => woken++);
  socket.send('reply');
  await turn();
  assert.deepEqual(done, ['send reply false']);
  assert.equal(woken, 0);
  drainTo(200);
  await turn();
  assert.equal(woken, 1);
  assert.equal(socket.whenWritable(), undefined);
});

test('replies to a full socket are queued in order, before data, and never dropped', () => {
  const { socket, connection, done, counts, drainTo } = createSocket();
  connection.buffered = 1_001;
  socket.send('1234');
  socket.send('5678');
  assert.equal(counts.replies.bytes, 8);
  connection.buffered = 0;
  socket.send('9');
  assert.notEqual(socket.whenWritable(), undefined, 'data does not overtake them');
  assert.deepEqual(done, []);
  drainTo(0);
  assert.deepEqual(done, ['send 1234 false', 'send 5678 false', 'send 9 false']);
  assert.equal(counts.replies.bytes, 0);
});

test('beyond the limit of queued replies the socket is stalled', () => {
  const { socket, connection, done, counts } = createSocket();
  connection.buffered = 1_001;
  socket.send('12345678');
  socket.send('90');
  assert.deepEqual(done, []);
  socket.send('!');
  assert.deepEqual(done, ['stalled']);
  assert.equal(counts.tooSlow, 1);
  socket.closed();
  assert.equal(counts.replies.bytes, 0, 'nothing is held for a closed socket');
});

test('a socket that takes nothing is stalled after the maximum lag; one that takes a little is not', async () => {
  const { socket, connection, clock, done, drainTo } = createSocket();
  connection.buffered = 400;
  void socket.whenWritable();
  await clock.advance(29_999);
  drainTo(399);
  void socket.whenWritable();
  await clock.advance(29_999);
  assert.deepEqual(done, []);
  await clock.advance(1);
  assert.deepEqual(done, ['stalled']);
});

test('a client that lags is stalled after the maximum lag, however much it reads meanwhile', async () => {
  const { socket, clock, done, counts, drainTo } = createSocket();
  socket.setLagging(true);
  await clock.advance(20_000);
  socket.setLagging(true);
  drainTo(0);
  assert.equal(counts.lagging, 1);
  await clock.advance(10_000);
  assert.deepEqual(done, ['stalled']);
  socket.setLagging(false);
  assert.deepEqual([counts.lagging, counts.lagMs], [0, 30_000]);
  socket.setLagging(true);
  socket.closed();
  assert.equal(counts.lagging, 0);
  assert.equal(clock.pending(), 0);
});

test('a lost frame terminates the socket in the next turn, once, and nothing newer is sent', async () => {
  const { socket, done, counts } = createSocket();
  assert.equal(socket.lose(), true);
  assert.equal(socket.lose(), false);
  assert.deepEqual(done, [], 'not in the middle of a publish');
  assert.equal(socket.isLost, true);
  socket.send('newer');
  socket.sendData('newer');
  socket.ping();
  await turn();
  socket.drained();
  assert.deepEqual(done, ['terminate']);
  assert.equal(counts.tooSlow, 1);
});

test('a drain terminates a socket that lost a frame at once, before anything newer could be sent', () => {
  const { socket, connection, done, drainTo } = createSocket();
  socket.join('t');
  connection.buffered = 2_000;
  socket.lose();
  drainTo(900);
  assert.deepEqual(done, ['terminate']);
});

test('a close frame that does not fit waits, off all topics', () => {
  const { socket, connection, done, topics, clock, drainTo } = createSocket();
  socket.join('t');
  connection.buffered = 2_000;
  socket.end(4002, '');
  assert.deepEqual(done, []);
  assert.equal(topics.size, 0);
  drainTo(1_001);
  socket.join('u');
  socket.end(1012, '');
  assert.deepEqual(done, []);
  assert.equal(topics.size, 0);
  drainTo(1_000);
  assert.deepEqual(done, ['end 4002']);
  assert.equal(clock.pending(), 0);
});

test('a client that reads too little for the close frame is terminated after the close timeout', async () => {
  const { socket, connection, done, clock } = createSocket();
  connection.buffered = 2_000;
  socket.end(1012, '');
  await clock.advance(9_999);
  assert.deepEqual(done, []);
  await clock.advance(1);
  assert.deepEqual(done, ['terminate']);
});

test('frames that are dropped after the close are no loss', () => {
  const { socket, connection } = createSocket();
  connection.buffered = 2_000;
  socket.end(1012, '');
  assert.equal(socket.lose(), false);
});
