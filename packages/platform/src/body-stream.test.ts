import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { createManualClock } from '../test/manual-clock.ts';
import { BodyStream } from './body-stream.ts';

function setUp() {
  const clock = createManualClock();
  const calls: string[] = [];
  const received: string[] = [];
  const settled: (TailraceError | undefined)[] = [];
  const [all, owner] = [{ unfinishedBytes: 5 }, { unfinishedBytes: 0 }];
  const stream = new BodyStream({
    clock,
    source: { pause: () => calls.push('pause'), resume: () => calls.push('resume') },
    sink: {
      streamData: (bytes) => void received.push(bytes.toString()),
      streamEnd: (error) => void settled.push(error),
    },
    counts: [all, owner],
  });
  const send = (bytes: number) => stream.take(Buffer.alloc(bytes));
  return { clock, calls, received, settled, all, owner, stream, send };
}

test('bytes are passed on as they arrive, and the end follows', () => {
  const { clock, stream, received, settled } = setUp();
  stream.take(Buffer.from('a'));
  stream.take(Buffer.from('b'));
  assert.deepEqual(received, ['a', 'b']);
  stream.end();
  stream.take(Buffer.from('c'));
  stream.end();
  stream.abort();
  assert.deepEqual([received, settled], [['a', 'b'], [undefined]]);
  assert.equal(clock.timers(), 0);
});

test('a client that sends 4 KiB a second may take as long as it wants', () => {
  const { clock, settled, send } = setUp();
  for (let second = 0; second < 3_600; second++) {
    send(4_096);
    clock.advance(1_000);
  }
  assert.equal(settled.length, 0);
});

test('a client that sends less than 4 KiB a second gets a timeout after 10 s', () => {
  const { clock, settled, send } = setUp();
  for (let second = 0; second < 9; second++) {
    send(4_095);
    clock.advance(1_000);
  }
  assert.equal(settled.length, 0);
  send(4_095);
  clock.advance(1_000);
  assert.equal(settled[0]?.code, 'timeout');
  assert.match(settled[0]?.message ?? '', /expected at least 4096 bytes a second, got 40950 in 10 s/);
  assert.equal(clock.timers(), 0);
});

test('the rate is measured again every 10 s: bytes of the first do not count later', () => {
  const { clock, settled, send } = setUp();
  send(10_000_000);
  clock.advance(10_000);
  assert.equal(settled.length, 0);
  clock.advance(10_000);
  assert.equal(settled[0]?.code, 'timeout');
});

test('time in which the client is paused does not count, also across several pauses', () => {
  const { clock, settled, stream, send } = setUp();
  for (let pause = 0; pause < 5; pause++) {
    stream.pause();
    clock.advance(20_000);
    stream.resume();
    clock.advance(1_900);
  }
  assert.equal(settled.length, 0);
  assert.equal(stream.pausedMs, 100_000);
  send(40_960 / 2);
  clock.advance(1_000);
  assert.equal(settled[0]?.code, 'timeout');
});

test('a pause and a resume reach the source once, and a stop resumes it to discard the rest', () => {
  const { calls, settled, received, stream } = setUp();
  stream.resume();
  stream.pause();
  stream.pause();
  stream.resume();
  stream.resume();
  stream.pause();
  assert.deepEqual(calls, ['pause', 'resume', 'pause']);
  stream.stop();
  stream.stop();
  stream.pause();
  assert.deepEqual(calls, ['pause', 'resume', 'pause', 'resume']);
  stream.take(Buffer.from('x'));
  stream.abort();
  assert.deepEqual([received, settled], [[], []]);
});

test('the end of the connection and an invalid framing reach the sink', () => {
  const { stream, settled } = setUp();
  stream.abort();
  assert.equal(settled[0]?.code, 'closed');
  const other = setUp();
  other.stream.fail(new TailraceError('invalid_message', 'an invalid chunk'));
  assert.deepEqual(
    other.settled.map((error) => error?.code),
    ['invalid_message'],
  );
});

test('the bytes that wait are counted', () => {
  const { all, owner, stream } = setUp();
  stream.setWaiting(100);
  assert.deepEqual([all.unfinishedBytes, owner.unfinishedBytes], [105, 100]);
  stream.setWaiting(40);
  assert.deepEqual([all.unfinishedBytes, owner.unfinishedBytes], [45, 40]);
  stream.setWaiting(0);
  assert.deepEqual([all.unfinishedBytes, owner.unfinishedBytes], [5, 0]);
});
