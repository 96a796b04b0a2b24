import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { double, MemoryServer } from '../../test/opcua-memory-server.ts';
import type { WriteResult } from '../read-back.ts';
import type { Value } from '../sample.ts';
import type { OpcuaChannel } from './opcua-port.ts';
import { writeNode } from './write.ts';

const node = 'ns=2;s=set';

async function writing(t: TestContext) {
  const clock = createFakeClock();
  const server = new MemoryServer();
  server.nowMs = () => clock.now();
  server.values.set(node, double(1, clock.now()));
  let channel: OpcuaChannel | undefined = await server.open(undefined, () => {});
  t.after(() => assert.equal(clock.pending(), 0, 'no timer is left'));
  const startWrite = (value: Value, deadlineMs = 5_000): Promise<WriteResult> =>
    writeNode({
      channel: () => channel,
      node: () => ({ node }),
      format: {},
      value,
      deadlineMs,
      timeoutMs: 1_000,
      isStopped: () => false,
      clock,
    });
  const write = async (value: Value) => {
    const result = startWrite(value);
    await clock.advance(70_000);
    return result;
  };
  const reconnect = async () => {
    channel = await server.open(channel, () => {});
  };
  const disconnect = () => {
    channel = undefined;
  };
  return { clock, server, startWrite, write, reconnect, disconnect };
}

test('a value that is read back is done', async (t) => {
  const { server, write } = await writing(t);
  assert.deepEqual(await write(2), { state: 'done', before: 1, after: 2 });
  assert.deepEqual(server.writes, [{ node, value: 2 }]);
});

test('a value is read back as its type can hold it, and another one is a failure', async (t) => {
  const time = '2026-01-31T12:00:00Z';
  for (const [dataType, present, wanted, after, other] of [
    [10, 0, 0.1, Math.fround(0.1), Math.fround(0.1000001)],
    [11, 0, 0.1, 0.1, 0.100_000_01],
    [13, new Date(1), time, '2026-01-31T12:00:00.000Z', new Date(2)],
  ] as const) {
    const { server, write } = await writing(t);
    const variant = (value: unknown) => ({ ...double(0, 1), value: { dataType, arrayType: 0, value } });
    server.values.set(node, variant(present));
    server.onWrite = (_node, value) => value;
    const { state, ...values } = await write(wanted);
    assert.deepEqual([state, values.after], ['done', after]);
    server.onWrite = () => variant(other);
    const { state: failed, code } = await write(wanted);
    assert.deepEqual([failed, code], ['failed', 'conflict']);
  }
});

test('a value with a bad status does not confirm a write', async (t) => {
  const { server, write } = await writing(t);
  server.onWrite = (_node, value) => ({ ...value, statusCode: { value: 0x80000000, name: 'Bad' } });
  assert.equal((await write(2)).state, 'unconfirmed');
});

test('a value that the server accepts and does not store is a failure, with the value that it has', async (t) => {
  const { server, write } = await writing(t);
  server.onWrite = () => undefined;
  const result = await write(2);
  assert.deepEqual([result.state, result.code, result.before, result.after], ['failed', 'conflict', 1, 1]);
});

test('a refused write is a failure, and nothing is read back', async (t) => {
  const { server, write } = await writing(t);
  server.writeStatus = { value: 0x803b0000, name: 'BadNotWritable' };
  server.onWrite = () => undefined;
  const result = await write(2);
  assert.deepEqual([result.state, result.code], ['failed', 'forbidden']);
  assert.match(result.message!, /BadNotWritable/);
  assert.equal(server.calls.filter((call) => call.startsWith('read')).length, 1);
});

test('an answer that is lost is resolved by the read-back after the reconnect', async (t) => {
  for (const [isStored, state] of [
    [true, 'done'],
    [false, 'failed'],
  ] as const) {
    const { server, startWrite, reconnect, clock } = await writing(t);
    server.onWrite = (_node, value) => {
      server.disconnect();
      return isStored ? value : undefined;
    };
    const pending = startWrite(2);
    await clock.advance(500);
    await reconnect();
    await clock.advance(5_000);
    const result = await pending;
    assert.equal(result.state, state, JSON.stringify(result));
    assert.equal(server.writes.length, 1, 'it is never sent again');
  }
});

test('a lost answer without a read is unconfirmed', async (t) => {
  const { server, write, disconnect } = await writing(t);
  server.onWrite = () => {
    server.disconnect();
    disconnect();
    return undefined;
  };
  assert.equal((await write(2)).state, 'unconfirmed');
});

test('an answer before the server has finished is decided by the read-back', async (t) => {
  const { server, write, clock } = await writing(t);
  server.writeStatus = { value: 0x002e0000, name: 'GoodCompletesAsynchronously' };
  server.onWrite = (_node, value) => {
    clock.after(300, () => server.values.set(node, value));
    return undefined;
  };
  assert.deepEqual(await write(2), { state: 'done', before: 1, after: 2 });
});

test('a value that the type cannot have is not written', async (t) => {
  const { server, write } = await writing(t);
  const result = await write('fast');
  assert.deepEqual([result.state, result.code, result.before], ['failed', 'invalid_message', 1]);
  assert.equal(server.writes.length, 0);
});

test('nothing is written without a session, or after the deadline', async (t) => {
  const { server, startWrite, write, disconnect, clock } = await writing(t);
  const { promise, resolve } = Promise.withResolvers<void>();
  server.failures.set('read', promise);
  const late = startWrite(2, 100);
  await clock.advance(200);
  resolve();
  assert.deepEqual([(await late).state, (await late).code], ['failed', 'unavailable']);
  disconnect();
  assert.equal((await write(2)).code, 'unavailable');
  assert.equal(server.writes.length, 0);
});

test('a node without a value is written in the type of the node', async (t) => {
  const { server, write } = await writing(t);
  server.values.set(node, { statusCode: { value: 0, name: 'Good' } });
  // The memory server answers the attribute DataType with the same value: no type.
  assert.equal((await write(2)).code, 'invalid_message');
});
