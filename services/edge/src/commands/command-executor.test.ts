import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { CommandReply, DeviceCommand } from '@tailrace/client/device';
import { silentLogger } from '@tailrace/platform/logger';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { MemoryDisk } from '../../test/memory-disk.ts';
import { readBack, type WriteResult, type WriteTurn } from '../read-back.ts';
import type { Sample, Value } from '../sample.ts';
import type { Source } from '../source.ts';
import { CommandExecutor, waitingMax } from './command-executor.ts';
import { commandsMax, ExecutedCommands } from './executed-commands.ts';

const device = 'p.pump1';

interface Options {
  readonly disk?: MemoryDisk;
  readonly isEnabled?: boolean;
  readonly hasStore?: boolean;
}

function start(_t: TestContext, { disk = new MemoryDisk(), isEnabled = true, hasStore = true }: Options = {}) {
  const clock = createFakeClock();
  const writes: { tag: string; value: Value }[] = [];
  const listeners = new Set<(sample: Sample) => void>();
  const source = {
    name: 'plc',
    state: 'connected',
    isLive: true,
    badTags: 0,
    tags: ['pressure', 'run_request', 'running', 'serial'].map((tag, index) => ({
      ...{ device, tag, unit: '', filter: undefined },
      write: [{ min: 0, max: 10 }, { values: [true, false] }, undefined, undefined][index],
    })),
    start: () => {},
    stop: () => {},
    /** Of floats of 32 bits. */
    heldValue: (_tag: number, value: Value) => (typeof value === 'number' ? Math.fround(value) : value),
    /** The result of the next writes. */
    result: { state: 'done', before: 1, after: 2 } as WriteResult,
    gate: undefined as Promise<void> | undefined,
    /** The answer to the next write is lost, and its tag can be read back after this time, with this value. */
    lost: undefined as { readonly readableMs: number; readonly after: Value } | undefined,
    async write(tag: number, value: Value, _deadlineMs: number, turn?: WriteTurn): Promise<WriteResult> {
      writes.push({ tag: source.tags[tag]!.tag, value });
      await source.gate;
      const { lost } = source;
      source.lost = undefined;
      if (lost === undefined) return source.result;
      return readBack({
        ...{ answer: 'unknown', wanted: value, before: 1, limitMs: 60_000, settledMs: 1_000, turn, clock },
        read: async () => {
          await clock.sleep(lost.readableMs);
          return lost.after;
        },
        isStopped: () => false,
      });
    },
  };
  const executed = new ExecutedCommands();
  if (hasStore) executed.open(disk);
  const finished: string[] = [];
  const executor = new CommandExecutor({
    targets: [
      {
        source: source satisfies Source,
        onSample(listener) {
          listeners.add(listener);
          return () => listeners.delete(listener);
        },
      },
    ],
    definitions: [
      { device, name: 'start', set: { run_request: true }, confirm: { tag: 'running', value: true } },
      { device, name: 'level', set: { run_request: true }, confirm: { tag: 'pressure', value: 0.1 } },
      { device, name: 'both', set: { pressure: 3, run_request: true } },
    ],
    ...{ executed, isEnabled, clock, logger: silentLogger, onFinished: (state) => finished.push(state) },
  });
  let ids = 0;
  /** Executes a command, and returns its answers so far. */
  const execute = (options: Partial<DeviceCommand> = {}) => {
    const answers: (CommandReply | 'delivered')[] = [];
    const command: DeviceCommand = {
      ...{ id: `c${ids++}`, device, name: 'set', params: { pressure: 5 }, qos: 1, fence: 0 },
      expiresAtMs: clock.monotonic() + 5_000,
      ...options,
    };
    executor.execute(command, {
      delivered: () => answers.push('delivered'),
      reply: (reply) => answers.push(reply),
    });
    return answers;
  };
  const codeOf = ([first]: readonly (CommandReply | 'delivered')[]) =>
    first === 'delivered' || first === undefined ? first : (first.code ?? first.state);
  const sample = (tag: number, value: Value) => {
    for (const listener of listeners) listener({ tag, time: 1, value, quality: 'good' });
  };
  return { clock, writes, source, executor, execute, executed, disk, finished, codeOf, sample, listeners };
}

test('a command writes its tags, and its receipt comes before its reply', async (t) => {
  const { clock, execute, writes, finished } = start(t);
  const answers = execute();
  await clock.advance(0);
  assert.deepEqual(answers, ['delivered', { state: 'done', before: 1, after: 2, confirmedBy: 'read_back' }]);
  assert.deepEqual(writes, [{ tag: 'pressure', value: 5 }]);
  assert.deepEqual(finished, ['done']);
});

test('a command is refused, and nothing is written, for each reason', async (t) => {
  const { clock, execute, writes, source, codeOf } = start(t);
  for (const [options, expected] of [
    [{ expiresAtMs: 0 }, 'timeout'],
    [{ name: 'weld' }, 'not_found'],
    [{ params: { speed: 1 } }, 'not_found'],
    [{ params: { pressure: 11 } }, 'forbidden'],
    [{ params: { pressure: 'high' } }, 'forbidden'],
    [{ params: { serial: 7 } }, 'forbidden'],
    [{ params: {} }, 'invalid_message'],
    [{ name: 'start', params: { pressure: 1 } }, 'invalid_message'],
    [{ device: 'p.other' }, 'not_found'],
  ] as const) {
    const answers = execute(options as Partial<DeviceCommand>);
    await clock.advance(0);
    assert.equal(codeOf(answers), expected, JSON.stringify(options));
  }
  source.isLive = false;
  const away = execute();
  await clock.advance(0);
  assert.equal(codeOf(away), 'unavailable');
  assert.deepEqual(writes, []);
});

test('while commands are off, or without a store, nothing is written', async (t) => {
  const off = start(t, { isEnabled: false });
  const refused = off.execute();
  await off.clock.advance(0);
  assert.equal(off.codeOf(refused), 'forbidden');
  const write = { device, tag: 'run_request', value: false, start: () => true };
  assert.equal((await off.executor.write({ ...write, isSafety: false })).code, 'forbidden');
  assert.equal((await off.executor.write({ ...write, isSafety: true })).state, 'done');
  const storeless = start(t, { hasStore: false });
  const answers = storeless.execute();
  await storeless.clock.advance(0);
  assert.equal(storeless.codeOf(answers), 'unavailable');
  assert.deepEqual(storeless.writes, []);
});

test('an ID is executed once, also after a restart, and has the same reply', async (t) => {
  const first = start(t);
  const answers = first.execute({ id: 'once' });
  await first.clock.advance(0);
  const again = first.execute({ id: 'once' });
  assert.deepEqual(again, answers);
  const restarted = start(t, { disk: first.disk });
  assert.deepEqual(restarted.execute({ id: 'once' }), answers);
  await restarted.clock.advance(0);
  assert.deepEqual(restarted.writes, []);
});

test('an ID that another command has is refused, also after a restart, and its reply stays', async (t) => {
  const first = start(t);
  const answers = first.execute({ id: 'once' });
  await first.clock.advance(0);
  const { execute, clock, writes, codeOf } = start(t, { disk: first.disk });
  assert.equal(codeOf(execute({ id: 'once', params: { pressure: 6 } })), 'conflict');
  assert.deepEqual(execute({ id: 'once' }), answers);
  await clock.advance(0);
  assert.deepEqual(writes, []);
});

test('a command that was interrupted by a crash is unconfirmed, and is not executed again', async (t) => {
  const first = start(t);
  first.source.gate = new Promise(() => {});
  assert.deepEqual(first.execute({ id: 'crash' }), []);
  await first.clock.advance(0);
  assert.equal(first.writes.length, 1);
  assert.deepEqual(first.execute({ id: 'crash' }), ['delivered'], 'while it runs there is no reply');
  const restarted = start(t, { disk: first.disk });
  const answers = restarted.execute({ id: 'crash' });
  assert.equal((answers[1] as CommandReply).state, 'unconfirmed');
  assert.deepEqual(restarted.writes, []);
});

test('the last thousand IDs are remembered', async (t) => {
  const { clock, execute, disk } = start(t);
  for (let n = 0; n < 1_010; n++) {
    execute({ id: `id${n}` });
    await clock.advance(20);
  }
  const executed = new ExecutedCommands();
  executed.open(disk);
  assert.deepEqual([executed.has('id9'), executed.has('id10'), executed.has('id1009')], [false, true, true]);
});

test('a command before its deadline is not executed again, however many others were, also after a restart', async (t) => {
  const { clock, execute, disk } = start(t);
  const answers = execute({ id: 'long', expiresAtMs: clock.monotonic() + 86_400_000 });
  await clock.advance(0);
  for (let n = 0; n < 2 * commandsMax; n++) {
    execute({ id: `id${n}` });
    await clock.advance(20);
  }
  const again = execute({ id: 'long', expiresAtMs: clock.monotonic() + 86_400_000 });
  assert.deepEqual(again, answers);
  const restarted = start(t, { disk });
  assert.deepEqual(restarted.execute({ id: 'long', expiresAtMs: 86_400_000 }), answers);
  await restarted.clock.advance(0);
  assert.deepEqual(restarted.writes, []);
});

test('while as many commands as are remembered wait for their deadlines, a new one is refused and not executed', async (t) => {
  const { clock, execute, executed, writes, codeOf } = start(t);
  for (let n = 0; n < commandsMax; n++) {
    execute({ id: `id${n}` });
    await clock.advance(0);
  }
  assert.equal(executed.unexpired(clock.now()), commandsMax);
  const refused = execute({ id: 'more' });
  await clock.advance(0);
  assert.deepEqual([codeOf(refused), writes.length], ['rate_limited', commandsMax]);
  await clock.advance(10_000);
  assert.equal(executed.unexpired(clock.now()), 0);
  const later = execute({ id: 'later' });
  await clock.advance(0);
  assert.equal(codeOf(later), 'delivered');
});

test('a lower fence is refused after a higher one, also after a restart', async (t) => {
  const first = start(t);
  first.execute({ id: 'first', fence: 7 });
  await first.clock.advance(0);
  const { clock, execute, codeOf } = start(t, { disk: first.disk });
  const lower = execute({ fence: 6 });
  const equal = execute({ fence: 7 });
  const none = execute({ fence: 0 });
  await clock.advance(0);
  assert.deepEqual([codeOf(lower), codeOf(equal), codeOf(none)], ['conflict', 'delivered', 'delivered']);
});

test('commands of a device run one after the other, and their deadline counts when their turn comes', async (t) => {
  const { clock, execute, writes, source, codeOf } = start(t);
  const { promise, resolve } = Promise.withResolvers<void>();
  source.gate = promise;
  execute({ params: { pressure: 1 } });
  const second = execute({ params: { pressure: 2 }, expiresAtMs: 1_000 });
  const third = execute({ params: { pressure: 3 }, expiresAtMs: 10_000 });
  await clock.advance(1_000);
  assert.equal(writes.length, 1);
  resolve();
  source.gate = undefined;
  await clock.advance(0);
  assert.deepEqual(
    writes.map(({ value }) => value),
    [1, 3],
  );
  assert.equal(codeOf(second), 'timeout');
  assert.equal(codeOf(third), 'delivered');
});

test('at most 64 commands wait', async (t) => {
  const { execute, source, codeOf, executor } = start(t);
  source.gate = new Promise(() => {});
  const all = Array.from({ length: 65 }, () => execute());
  assert.equal(executor.waiting, 64);
  assert.equal(codeOf(all[64]!), 'rate_limited');
});

test('a command with a confirming tag is done when that tag has the value, also if the PLC resets the request', async (t) => {
  const { clock, execute, source, sample, listeners } = start(t);
  source.result = { state: 'failed', code: 'conflict', message: 'not stored' };
  const fast = execute({ name: 'start', params: {} });
  sample(2, true);
  await clock.advance(0);
  sample(2, true);
  await clock.advance(0);
  assert.equal((fast[1] as CommandReply).state, 'done');
  const slow = execute({ name: 'start', params: {} });
  await clock.advance(100);
  sample(2, false);
  assert.deepEqual(slow, ['delivered']);
  await clock.advance(5_000);
  assert.equal((slow[1] as CommandReply).state, 'unconfirmed');
  assert.equal(listeners.size, 0);
});

test('a value that confirms a command is compared as its tag can hold it', async (t) => {
  const { clock, execute, sample } = start(t);
  const answers = execute({ name: 'level', params: {} });
  await clock.advance(0);
  sample(0, 0.1);
  await clock.advance(0);
  assert.deepEqual(answers, ['delivered']);
  sample(0, Math.fround(0.1));
  await clock.advance(0);
  assert.equal((answers[1] as CommandReply).state, 'done');
});

test('no write of a rule comes between the writes of a command, and it waits for no other command', async (t) => {
  const { clock, execute, writes, source, executor } = start(t);
  const { promise, resolve } = Promise.withResolvers<void>();
  source.gate = promise;
  execute({ name: 'both', params: {} });
  for (let n = 0; n < waitingMax - 1; n++) execute({ params: { pressure: 1 } });
  await clock.advance(0);
  const rule = { device, value: false, isSafety: true };
  const results = [
    executor.write({ ...rule, tag: 'run_request', start: () => true }),
    executor.write({ ...rule, tag: 'run_request', start: () => false }),
  ];
  assert.deepEqual([writes.length, executor.waitingRuleWrites], [1, 2]);
  resolve();
  source.gate = undefined;
  await clock.advance(0);
  assert.deepEqual(
    (await Promise.all(results)).map(({ state }) => state),
    ['done', 'failed'],
  );
  assert.deepEqual(
    writes.slice(0, 4).map(({ tag, value }) => `${tag} ${value}`),
    ['pressure 3', 'run_request true', 'run_request false', 'pressure 1'],
  );
  assert.equal(executor.waitingRuleWrites, 0);
});

test('a write of a rule does not wait until another tag confirms a command', async (t) => {
  const { clock, execute, executor } = start(t);
  const slow = execute({ name: 'start', params: {} });
  await clock.advance(100);
  const write = { device, tag: 'pressure', value: 0, isSafety: true, start: () => true };
  assert.equal((await executor.write(write)).state, 'done');
  assert.deepEqual(slow, ['delivered']);
  await clock.advance(5_000);
});

test('of several tags the first that fails is the last; after another was written the command is unconfirmed', async (t) => {
  const { clock, execute, source, writes } = start(t);
  source.result = { state: 'failed', code: 'forbidden', message: 'exception 3' };
  const none = execute({ name: 'both', params: {} });
  await clock.advance(0);
  assert.deepEqual(none[1], { state: 'failed', code: 'forbidden', message: 'pressure: exception 3' });
  assert.equal(writes.length, 1);
  const { promise, resolve } = Promise.withResolvers<void>();
  source.gate = promise;
  source.result = { state: 'done' };
  const half = execute({ name: 'both', params: {} });
  await clock.advance(0);
  const { write } = source;
  source.write = (tag, value, deadlineMs) => {
    source.result = { state: 'failed', code: 'forbidden', message: 'exception 3' };
    return write(tag, value, deadlineMs);
  };
  resolve();
  await clock.advance(0);
  const reply = half[1] as CommandReply;
  assert.deepEqual([reply.state, reply.message], ['unconfirmed', '1 of 2 tags were written; run_request: exception 3']);
});

const ruleWrite = { device, tag: 'run_request', value: false, isSafety: true, start: () => true };

test('a write whose answer was lost holds the others of its device while it may still be done, and no longer', async (t) => {
  const { clock, execute, executor, source, writes } = start(t);
  source.lost = { readableMs: 30_000, after: 5 };
  const lost = execute({ expiresAtMs: clock.monotonic() + 60_000 });
  await clock.advance(0);
  const rule = executor.write(ruleWrite);
  const next = execute({ name: 'start', params: {} });
  await clock.advance(999);
  assert.equal(writes.length, 1);
  await clock.advance(1);
  assert.equal((await rule).state, 'done');
  await clock.advance(0);
  assert.deepEqual(
    writes.map(({ tag }) => tag),
    ['pressure', 'run_request', 'run_request'],
  );
  assert.equal(next[0], 'delivered');
  assert.equal(lost.length, 1, 'it is still being read back');
  await clock.advance(29_000);
  assert.deepEqual(lost.at(-1), { state: 'done', before: 1, after: 5, confirmedBy: 'read_back' });
  assert.equal(clock.pending(), 0);
});

test('a write whose answer was lost is unconfirmed when another one of its tag came before it was read back', async (t) => {
  const { clock, execute, source, writes } = start(t);
  source.lost = { readableMs: 30_000, after: 7 };
  const lost = execute({ expiresAtMs: clock.monotonic() + 60_000 });
  await clock.advance(0);
  const next = execute({ params: { pressure: 7 } });
  await clock.advance(1_000);
  assert.equal(writes.length, 2);
  assert.deepEqual(next.at(-1), { state: 'done', before: 1, after: 2, confirmedBy: 'read_back' });
  await clock.advance(29_000);
  const reply = lost.at(-1) as CommandReply;
  assert.equal(reply.state, 'unconfirmed');
  assert.match(reply.message!, /another write of the tag came before/);
});

test('a command goes on after an answer that was lost and soon read back, and has no further writes if that took long', async (t) => {
  for (const [readableMs, state, count] of [
    [500, 'done', 2],
    [5_000, 'unconfirmed', 1],
  ] as const) {
    const { clock, execute, source, writes } = start(t);
    source.lost = { readableMs, after: 3 };
    const answers = execute({ name: 'both', params: {}, expiresAtMs: clock.monotonic() + 60_000 });
    await clock.advance(6_000);
    assert.equal((answers.at(-1) as CommandReply).state, state);
    assert.equal(writes.length, count);
  }
});
