import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryLog } from '@tailrace/eventlog/memory';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { runDeadLetterCommand } from './command.ts';
import { deadLetterRecord } from './dead-letter.ts';

const env = { TAILRACE_TOKEN_SECRET: 'a secret of the tests, long enough for HS256' };

/** Runs the command on a log with two dead letters, of an hour ago and of now. */
async function run(...args: string[]) {
  const clock = createFakeClock({ nowMs: 1_700_000_000_000 });
  const log = createMemoryLog({ clock });
  const writer = log.connect();
  await writer.start();
  const topic = 'tailrace.dead-letter';
  await writer.ensureTopic({ name: topic, partitions: 1, retentionMs: 1e12, retentionBytes: 1e12 });
  for (const [source, payload] of [
    ['old', '{'],
    ['new', '1,5'],
  ] as const) {
    const letter = {
      ...({ reason: 'malformed_number', message: 'expected a number', protocol: 'bridge', source } as const),
      payload: Buffer.from(payload),
    };
    await writer.append(topic, [deadLetterRecord(letter, clock.now(), 'n')]);
    if (source === 'old') await clock.advance(3_600_000);
  }
  const output: Buffer[] = [];
  let errors = '';
  const code = await runDeadLetterCommand({
    args,
    env,
    createLog: () => log.connect(),
    write: (text) => void output.push(Buffer.from(text)),
    writeError: (text) => {
      errors += text;
    },
    nowMs: clock.now(),
  });
  return { code, output: Buffer.concat(output).toString(), errors };
}

test('prints the newest dead letters', async () => {
  const { code, output } = await run();
  assert.equal(code, 0);
  assert.match(output, /malformed_number {2}bridge old.*malformed_number {2}bridge new.*1,5/s);
  assert.doesNotMatch((await run('--last', '1')).output, /bridge old/);
  assert.doesNotMatch((await run('--since', '30m')).output, /bridge old/);
  assert.doesNotMatch((await run('--source', 'old')).output, /bridge new/);
});

test('prints them as JSON, and the bytes of one unchanged', async () => {
  const { output } = await run('--json');
  assert.deepEqual(
    output
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).text),
    ['{', '1,5'],
  );
  assert.equal((await run('--raw', '1')).output, '1,5');
});

test('names what is wrong with its arguments, and a position without a dead letter', async () => {
  for (const [args, expected] of [
    [['--last', '0'], /--last: expected a whole number from 1 to 10000, got 0/],
    [['--since', 'today'], /--since: expected a time such as 90m, 12h or 7d, got today/],
    [['--newest'], /newest/],
    [['--log', '/nowhere/log'], /--log: expected the folder of a log, as data\/demo\/log, got \/nowhere\/log/],
  ] as const) {
    const { code, errors } = await run(...args);
    assert.equal(code, 2);
    assert.match(errors, expected);
    assert.match(errors, /usage:/);
  }
  const missing = await run('--raw', '7');
  assert.deepEqual([missing.code, missing.output], [1, '']);
  assert.match(missing.errors, /position: expected one of a dead letter/);
  assert.match((await run('--reason', 'forbidden')).errors, /no dead letters/);
});

test('a log without the topic has no dead letters', async () => {
  const log = createMemoryLog({ clock: createFakeClock() });
  let errors = '';
  const code = await runDeadLetterCommand({
    ...{ args: [], env, createLog: () => log.connect(), nowMs: 0 },
    write: () => assert.fail('there is nothing to write'),
    writeError: (text) => {
      errors += text;
    },
  });
  assert.deepEqual([code, errors], [0, 'no dead letters in tailrace.dead-letter\n']);
});

test('--log reads an embedded log without any other setting', async () => {
  let dataPath = '';
  const log = createMemoryLog({ clock: createFakeClock() });
  const code = await runDeadLetterCommand({
    ...{ args: ['--log', import.meta.dirname], env: {}, nowMs: 0, write: () => {}, writeError: () => {} },
    createLog: (config) => {
      dataPath = `${config.eventLog} ${config.dataPath}`;
      return log.connect();
    },
  });
  assert.deepEqual([code, dataPath], [0, `embedded ${import.meta.dirname}`]);
});
