import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DeviceCredential } from '@tailrace/platform/device-credentials';
import { silentLogger } from '@tailrace/platform/logger';
import type { RevocationEntry } from '@tailrace/platform/revocation';
import { TailraceError } from '@tailrace/protocol/error';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import type { CommandSwitchState, Notice } from './control-record.ts';
import { ControlTopic, controlPollMs } from './control-topic.ts';
import type { EventLog } from './event-log.ts';
import { createMemoryLog } from './memory.ts';

const hourMs = 3_600_000;
const graceMs = 300_000;

/** `epoch`: of the topic. Default: random. */
async function world(epoch: string = crypto.randomUUID()) {
  const clock = createFakeClock({ nowMs: 1_700_000_000_000 });
  const memory = createMemoryLog({ clock, epoch: () => epoch });
  const eventLog = memory.connect();
  await eventLog.start();
  const start = async (
    from: Pick<EventLog, 'ensureTopic' | 'describeTopic' | 'append' | 'read' | 'bounds'> = eventLog,
    logger = silentLogger,
  ) => {
    const revocations: RevocationEntry[] = [];
    const notices: Notice[] = [];
    const credentials: DeviceCredential[] = [];
    const switches: CommandSwitchState[] = [];
    const topic = new ControlTopic({
      eventLog: from,
      topicPrefix: 'tailrace',
      clock,
      logger,
      onCredentials: (entries) => credentials.push(...entries),
      onRevocations: (entries) => revocations.push(...entries),
      onCommandSwitch: (state) => switches.push(state),
      onNotice: (notice) => notices.push(notice),
    });
    await topic.start();
    return { topic, credentials, revocations, notices, switches };
  };
  /** Advances the virtual clock until the work resolves. */
  const settled = async <T>(promise: Promise<T>): Promise<T> => {
    const [value] = await Promise.all([promise, clock.advance(0)]);
    return value;
  };
  return { clock, eventLog, start, settled };
}

const token = (tokenId: string, expiresAt?: number): RevocationEntry =>
  expiresAt === undefined ? { tokenId } : { tokenId, expiresAt };

test('a revocation is read by its process when the append resolves, and by others at their next poll', async () => {
  const { clock, start } = await world();
  const [one, other] = [await start(), await start()];
  await one.topic.revoke(token('t1'));
  assert.deepEqual([one.revocations, other.revocations], [[token('t1')], []]);
  await clock.advance(controlPollMs);
  assert.deepEqual(other.revocations, [token('t1')]);
  await clock.advance(10 * controlPollMs);
  assert.deepEqual([one.revocations.length, other.revocations.length], [1, 1], 'once');
  for (const { topic } of [one, other]) topic.stop();
  assert.equal(clock.pending(), 0);
});

const credential = (id: string, facts: Partial<DeviceCredential> = {}): DeviceCredential => ({
  id: id.padEnd(16, '0'),
  device: 'plant1.press7',
  gateway: false,
  secretSha256: Buffer.alloc(32, 7).toString('base64url'),
  issuedAt: 1_700_000_000_000,
  issuedBy: 'operator',
  label: 'press hall',
  ...facts,
});

test('a credential is read by its process when the append resolves, and whole by others at their next poll and later', async () => {
  const { clock, start } = await world();
  const [one, other] = [await start(), await start()];
  const issued = [credential('a'), credential('b', { gateway: true, expiresAt: clock.now() + hourMs })];
  for (const each of issued) await one.topic.issue(each);
  assert.deepEqual([one.credentials, other.credentials], [issued, []]);
  await clock.advance(controlPollMs);
  assert.deepEqual(other.credentials, issued);
  const later = await start();
  assert.deepEqual(later.credentials, issued);
  for (const { topic } of [one, other, later]) topic.stop();
});

test('the cleanup removes credentials that have expired or are revoked, and keeps the others and their revocations', async () => {
  const { clock, start, settled } = await world();
  const one = await start();
  const expiresAt = clock.now() + hourMs;
  const device = 'plant1.press8';
  const kept = [credential('kept', { expiresAt: expiresAt + 1 }), credential('new', { device, issuedAt: 1_800 })];
  for (const each of [
    ...kept,
    credential('expired', { expiresAt }),
    credential('revoked'),
    credential('old', { device, issuedAt: 1_000 }),
  ])
    await one.topic.issue(each);
  await one.topic.revoke({ tokenId: credential('revoked').id });
  await one.topic.revoke({ subject: `device/${device}`, issuedBefore: 1_800 });
  await clock.advance(hourMs + graceMs);
  await settled(one.topic.removeObsolete());
  assert.equal(one.topic.counts.removed, 3);
  await settled(one.topic.removeObsolete());
  assert.equal(one.topic.counts.removed, 3, 'nothing is left to remove');
  one.topic.stop();
});

test('a process that starts later has read every revocation when its start resolves', async () => {
  const { clock, start } = await world();
  const one = await start();
  const entries = [token('t1'), { subject: 'anna', issuedBefore: clock.now(), expiresAt: clock.now() + hourMs }];
  for (const entry of entries) await one.topic.revoke(entry);
  one.topic.stop();
  const later = await start();
  assert.deepEqual(later.revocations, entries);
  later.topic.stop();
});

test('a revocation that is not durable is not acknowledged', async () => {
  const { eventLog, start } = await world();
  const failing = {
    ensureTopic: (spec: Parameters<EventLog['ensureTopic']>[0]) => eventLog.ensureTopic(spec),
    describeTopic: eventLog.describeTopic.bind(eventLog),
    read: eventLog.read.bind(eventLog),
    bounds: eventLog.bounds.bind(eventLog),
    append: async () => {
      throw new TailraceError('unavailable', 'no broker', { retryable: true });
    },
  };
  const { topic, revocations } = await start(failing);
  await assert.rejects(topic.revoke(token('t1')), { code: 'unavailable', retryable: true });
  assert.deepEqual(revocations, []);
  topic.stop();
});

test('while the log cannot be read the age of the last read grows, and the read is repeated until it succeeds', async () => {
  const { clock, eventLog, start } = await world();
  let isDown = false;
  const flaky = {
    ensureTopic: eventLog.ensureTopic.bind(eventLog),
    describeTopic: eventLog.describeTopic.bind(eventLog),
    append: eventLog.append.bind(eventLog),
    read: eventLog.read.bind(eventLog),
    bounds: (...given: Parameters<EventLog['bounds']>) =>
      isDown ? Promise.reject(new TailraceError('unavailable', 'no broker')) : eventLog.bounds(...given),
  };
  const [writer, reader] = [await start(), await start(flaky)];
  isDown = true;
  await writer.topic.revoke(token('t1'));
  await clock.advance(20 * controlPollMs);
  assert.equal(reader.topic.readAgeMs, 20 * controlPollMs);
  assert.equal(reader.topic.poller.counts.readFailures, 20);
  isDown = false;
  await clock.advance(controlPollMs);
  assert.deepEqual([reader.revocations, reader.topic.readAgeMs], [[token('t1')], 0]);
  for (const { topic } of [writer, reader]) topic.stop();
});

test('notices are received in order, each once', async () => {
  const { clock, start } = await world();
  const [one, other] = [await start(), await start()];
  for (const message of ['a', 'b', 'b']) {
    await one.topic.notify({ severity: 'info', message, time: clock.now() });
    await clock.advance(1);
  }
  await clock.advance(controlPollMs);
  assert.deepEqual(
    other.notices.map(({ message }) => message),
    ['a', 'b', 'b'],
  );
  for (const { topic } of [one, other]) topic.stop();
});

test('cleanup removes expired records, and those that another revocation covers; no others', async () => {
  const { clock, start } = await world();
  const one = await start();
  const nowMs = clock.now();
  const kept = [
    token('later', nowMs + 10 * hourMs),
    token('never'),
    { subject: 'anna', issuedBefore: nowMs + 2 },
    { subject: 'ben', issuedBefore: nowMs, expiresAt: nowMs + 9 * hourMs },
    { subject: 'ben', issuedBefore: nowMs + 1, expiresAt: nowMs + 8 * hourMs },
  ];
  const removed = [
    token('soon', nowMs + 1_000),
    { subject: 'anna', issuedBefore: nowMs },
    { subject: 'anna', issuedBefore: nowMs + 1, expiresAt: nowMs + hourMs },
    token('later', nowMs + 9 * hourMs),
  ];
  for (const entry of [...removed, ...kept]) await one.topic.revoke(entry);
  await one.topic.notify({ severity: 'info', message: 'old', time: nowMs });
  await clock.advance(1_000 + graceMs);
  await one.topic.removeObsolete();
  assert.equal(one.topic.counts.removed, removed.length);
  await clock.advance(hourMs);
  await one.topic.removeObsolete();
  assert.equal(one.topic.counts.removed, removed.length + 1, 'the notice after an hour, and nothing twice');
  one.topic.stop();
  const later = await start();
  const names = (entries: readonly RevocationEntry[]) => entries.map((entry) => JSON.stringify(entry)).sort();
  for (const entry of kept) assert.ok(names(later.revocations).includes(JSON.stringify(entry)));
  later.topic.stop();
});

test('a cleanup cannot undo a revocation of the same subject that another process appends meanwhile', async () => {
  const { clock, eventLog, start } = await world();
  const one = await start();
  const expired = { subject: 'anna', issuedBefore: clock.now(), expiresAt: clock.now() + 1_000 };
  await one.topic.revoke(expired);
  await clock.advance(1_000 + graceMs);
  const again = { subject: 'anna', issuedBefore: clock.now() };
  // The other process appends between the read and the tombstone of this one.
  const racing = await start({
    ensureTopic: eventLog.ensureTopic.bind(eventLog),
    describeTopic: eventLog.describeTopic.bind(eventLog),
    read: eventLog.read.bind(eventLog),
    bounds: eventLog.bounds.bind(eventLog),
    append: async (...given: Parameters<EventLog['append']>) => {
      await one.topic.revoke(again);
      return await eventLog.append(...given);
    },
  });
  await racing.topic.removeObsolete();
  assert.equal(racing.topic.counts.removed, 1);
  for (const { topic } of [one, racing]) topic.stop();
  const later = await start();
  assert.deepEqual(later.revocations.at(-1), again);
  later.topic.stop();
});

test('cleanup runs once an hour, until the topic is stopped', async () => {
  const { clock, start } = await world();
  const one = await start();
  one.topic.startCleanup(() => 0.5);
  await one.topic.revoke(token('t1', clock.now() + 1_000));
  await clock.advance(300_000);
  assert.equal(one.topic.counts.removed, 0);
  await clock.advance(hourMs);
  assert.equal(one.topic.counts.removed, 1);
  one.topic.stop();
  assert.equal(clock.pending(), 0);
});

test('a record that cannot be read is skipped and counted, and the following ones are read', async () => {
  const { eventLog, start } = await world();
  const one = await start();
  await eventLog.append('tailrace.control', [{ key: 'x', value: Uint8Array.of(0x0a, 9) }]);
  await one.topic.revoke(token('t1'));
  assert.deepEqual([one.revocations, one.topic.counts.unreadable], [[token('t1')], 1]);
  one.topic.stop();
});

/** A reader of a topic with two records, which a test re-creates. Each record has a revocation and a notice. */
async function recreation(epoch?: string) {
  const { clock, eventLog, start } = await world(epoch);
  const warnings: string[] = [];
  let current: typeof eventLog = eventLog;
  /** The bounds of an outdated answer. */
  let outdated: { first: number; next: number } | undefined;
  const reader = await start(
    {
      ensureTopic: (spec) => current.ensureTopic(spec),
      describeTopic: (topic) => current.describeTopic(topic),
      append: (topic, records) => current.append(topic, records),
      read: (topic, partition, range) => current.read(topic, partition, range),
      bounds: async (topic, partitions) => (outdated ? [outdated] : await current.bounds(topic, partitions)),
    },
    { ...silentLogger, warn: (_, sentence) => void warnings.push(sentence) },
  );
  const append = async (to: typeof eventLog, name: string) => {
    const { topic } = await start(to);
    await topic.revoke(token(name));
    await topic.notify({ severity: 'info', message: name, time: clock.now() });
    topic.stop();
  };
  const received = () => ({
    tokens: reader.revocations.map((entry) => ('tokenId' in entry ? entry.tokenId : '')),
    notices: reader.notices.map(({ message }) => message),
  });
  const recreate = async (names: readonly string[]) => {
    const recreated = createMemoryLog({ clock, epoch: () => epoch ?? crypto.randomUUID() }).connect();
    await recreated.start();
    await recreated.ensureTopic({
      ...{ name: 'tailrace.control', partitions: 1, compacted: true },
      ...{ retentionMs: Infinity, retentionBytes: Infinity },
    });
    for (const name of names) await append(recreated, name);
    current = recreated;
  };
  await append(eventLog, 'a');
  await append(eventLog, 'b');
  await clock.advance(controlPollMs);
  assert.deepEqual(received(), { tokens: ['a', 'b'], notices: ['a', 'b'] });
  return {
    clock,
    reader,
    warnings,
    received,
    recreate,
    append: (name: string) => append(current, name),
    outdate: (end: number | undefined) => {
      outdated = end === undefined ? undefined : { first: 0, next: end };
    },
  };
}

for (const [size, names] of [
  ['no', []],
  ['fewer', ['c']],
  ['as many', ['c', 'd']],
  ['more', ['c', 'd', 'e']],
] as const) {
  test(`each record of a topic that was re-created with ${size} records is received once`, async () => {
    const { clock, reader, warnings, received, recreate, append } = await recreation();
    await recreate(names);
    await clock.advance(5_000);
    await append('later');
    await clock.advance(30_000);
    const expected = ['a', 'b', ...names, 'later'];
    assert.deepEqual(received(), { tokens: expected, notices: expected });
    assert.deepEqual(warnings, ['the control topic was re-created']);
    assert.equal(reader.topic.poller.counts.readFailures, 0);
    reader.topic.stop();
  });
}

test('a topic that was re-created twice is read twice', async () => {
  const { clock, reader, warnings, received, recreate } = await recreation();
  for (const name of ['c', 'd']) {
    await recreate([name]);
    await clock.advance(10_000);
  }
  assert.deepEqual(received().notices, ['a', 'b', 'c', 'd']);
  assert.equal(warnings.length, 2);
  reader.topic.stop();
});

test('each notice is received once, and each revocation, when a broker answers with an outdated end for some seconds', async () => {
  const { clock, reader, received, append, outdate } = await recreation();
  outdate(1);
  await clock.advance(4_000);
  outdate(undefined);
  await append('c');
  await clock.advance(30_000);
  assert.deepEqual(received().notices, ['a', 'b', 'c']);
  assert.deepEqual([...new Set(received().tokens)], ['a', 'b', 'c']);
  assert.equal(reader.topic.poller.counts.readFailures, 0);
  reader.topic.stop();
});

test('a topic that has lost its last records is read again from its start, once', async () => {
  const { clock, reader, warnings, received, recreate } = await recreation('epoch');
  await recreate(['a']);
  await clock.advance(30_000);
  assert.deepEqual(received().tokens, ['a', 'b', 'a']);
  assert.equal(warnings.length, 1);
  reader.topic.stop();
});

for (const [names, appended] of [
  [['a'], ['c']],
  [['a'], ['c', 'd']],
  [[], ['c', 'd']],
] as const) {
  const what = `${2 - names.length} of 2 last records, and has ${appended.length} new ones`;
  test(`no revocation is skipped in a topic that has lost ${what} before 5 s have passed`, async () => {
    const { clock, reader, received, recreate, append } = await recreation('epoch');
    await recreate(names);
    await clock.advance(2 * controlPollMs);
    for (const name of appended) await append(name);
    await clock.advance(30_000);
    const { tokens, notices } = received();
    for (const name of appended) assert.ok(tokens.includes(name), `${tokens}`);
    assert.deepEqual(notices, ['a', 'b', ...names, ...appended]);
    reader.topic.stop();
  });
}

test('a revocation is received, although a notice of the same batch cannot be sent', async () => {
  const { clock, eventLog, start } = await world();
  const writer = await start();
  await writer.topic.revoke(token('t1'));
  await writer.topic.notify({ severity: 'info', message: 'a', time: clock.now() });
  const revocations: RevocationEntry[] = [];
  const topic = new ControlTopic({
    ...{ eventLog, topicPrefix: 'tailrace', clock, logger: silentLogger },
    onCredentials() {},
    onRevocations: (entries) => revocations.push(...entries),
    onNotice: () => {
      throw new Error('no session');
    },
  });
  await topic.poll();
  await topic.poll();
  assert.deepEqual(revocations, [token('t1')]);
  for (const each of [topic, writer.topic]) each.stop();
});

const switched = (isOff: boolean, time: number): CommandSwitchState => ({ isOff, reason: 'fire', by: 'anna', time });

test('the command switch is read by all, and a process that starts later gets its last state alone, also of a clock that is behind', async () => {
  const { clock, start } = await world();
  const [one, other] = [await start(), await start()];
  const now = clock.now();
  await one.topic.switchCommands(switched(true, now));
  assert.deepEqual([one.switches, other.switches], [[switched(true, now)], []]);
  await clock.advance(controlPollMs);
  assert.deepEqual(other.switches, [switched(true, now)]);
  await other.topic.switchCommands(switched(false, now + 5_000));
  await other.topic.switchCommands(switched(true, now - 5_000));
  const later = await start();
  assert.deepEqual(later.switches, [switched(true, now - 5_000)]);
  for (const { topic } of [one, other, later]) topic.stop();
});

test('a cleanup keeps the last command switch, also one with the content of an earlier one', async () => {
  const { clock, start } = await world();
  const one = await start();
  const now = clock.now();
  for (const isOff of [true, false, true]) await one.topic.switchCommands(switched(isOff, now));
  await one.topic.removeObsolete();
  assert.equal(one.topic.counts.removed, 1);
  const later = await start();
  assert.deepEqual(later.switches, [switched(true, now)]);
  for (const { topic } of [one, later]) topic.stop();
});
