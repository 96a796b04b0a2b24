import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '@tailrace/testkit/eventually';
import { fuzzed } from '@tailrace/testkit/fuzz';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { seededRandom } from '@tailrace/testkit/random';
import { runCommand } from '../src/cli/command.ts';
import type { OpcuaSource } from '../src/opcua/opcua-source.ts';
import { sourcesFrom } from '../src/sources-file.ts';
import { type OpcuaPeer, startNodeOpcuaServer } from './opcua-peer.ts';
import { startLink, startSource, temporaryFolder } from './opcua-started.ts';

failOnLeaks();

const folder = temporaryFolder();
const pkiPath = join(folder.path, 'pki');
let plain: OpcuaPeer;
let conformance: OpcuaPeer;

before(async () => {
  // The first makes the certificate that both have.
  plain = await startNodeOpcuaServer(folder.path);
  conformance = await startNodeOpcuaServer(folder.path, 'conformance');
});
after(async () => {
  await Promise.all([plain.stop(), conformance.stop()]);
  folder.remove();
});

const machine = ['ns=1;s=t0', 'ns=1;s=t1', 'ns=1;s=t2'].map((node) => ({ node }));

test('fifty cable pulls leave one session, and every change comes once, in order', async (t) => {
  const link = await startLink(t, plain.port);
  const { source, samples, live } = startSource(t, { pkiPath, port: link.port, tags: machine, random: () => 0.12 });
  await live();
  const pulls = 50;
  for (let pull = 1; pull <= pulls; pull++) {
    await plain.ask({ set: ['t0', pull] });
    link.reset();
    await eventually(() => !source.isLive, { deadlineMs: 20_000, describe: 'the loss is noticed' });
    await live();
    assert.ok(Number(await plain.ask({ sessions: true })) <= 1, `pull ${pull}`);
  }
  await plain.ask({ set: ['t0', pulls + 1] });
  const values = () => samples.filter(({ tag, quality }) => tag === 0 && quality === 'good').map(({ value }) => value);
  await eventually(() => values().includes(pulls + 1), { deadlineMs: 20_000, describe: 'the last value came' });
  const expected = Array.from({ length: pulls + 1 }, (_, index) => index + 1);
  assert.deepEqual(
    values().filter((value) => Number(value) >= 1),
    expected,
  );
  assert.equal(source.connection.counts.rebuilds, 0);
  await source.stop();
  assert.equal(await plain.ask({ sessions: true }), 0, 'the stop closes the session');
});

test('a server that starts again gets the subscriptions again, and a node that is gone makes only its own tag bad', async (t) => {
  let peer = await startNodeOpcuaServer(folder.path);
  t.after(() => peer.stop());
  const { source, next, samples, live } = startSource(t, {
    pkiPath,
    port: peer.port,
    tags: [...machine, { node: 'ns=1;s=gone' }],
  });
  await live();
  assert.equal(samples.find(({ tag }) => tag === 3)!.reason, 'BadNodeIdUnknown');
  await peer.stop();
  await eventually(() => !source.isLive, { deadlineMs: 20_000, describe: 'the loss is noticed' });
  peer = await startNodeOpcuaServer(folder.path, 'plain', peer.port);
  const changed = next(1, ({ value }) => value === 5);
  await live();
  await peer.ask({ set: ['t1', 5] });
  await changed;
  assert.equal(source.badTags, 1);
});

test('a write is read back; its times', async (t) => {
  const write = { min: 0, max: 1_000 };
  const tags = [
    { node: 'ns=1;s=set', write },
    { node: 'ns=1;s=stuck', write },
    { node: 'ns=1;s=t9', write: { values: ['fast'] } },
  ];
  const { source, live } = startSource(t, { pkiPath, port: plain.port, tags });
  await live();
  const times: number[] = [];
  for (let value = 1; value <= 100; value++) {
    const startMs = performance.now();
    const result = await source.write(0, value, 5_000);
    times.push(performance.now() - startMs);
    assert.deepEqual([result.state, result.after], ['done', value], JSON.stringify(result));
  }
  times.sort((a, b) => a - b);
  const p99 = times[Math.floor(times.length * 0.99) - 1]!;
  t.diagnostic(`write with read-back: p50 ${times[50]!.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`);
  const stuck = await source.write(1, 5, 5_000);
  assert.deepEqual([stuck.state, stuck.code, stuck.after], ['failed', 'conflict', 1]);
  assert.equal((await source.write(0, 1_001, 5_000)).code, 'forbidden');
  assert.equal((await source.write(2, 'fast', 5_000)).code, 'invalid_message');
});

test('a write whose session is gone is not repeated on the next one', async (t) => {
  const { source, live, next } = startSource(t, {
    pkiPath,
    port: plain.port,
    tags: [{ node: 'ns=1;s=set', write: { min: 0, max: 10 } }],
  });
  await live();
  const before = Number(await plain.ask({ writes: true }));
  await plain.ask({ closeSessions: true });
  const result = await source.write(0, 9, 5_000);
  assert.equal(result.state, 'failed', JSON.stringify(result));
  await eventually(() => source.isLive && source.connection.channel !== undefined, {
    deadlineMs: 30_000,
    describe: 'there is a session again',
  });
  // Behind whatever the new session has sent at its start.
  const changed = next(0, ({ value }) => value === 3);
  await plain.ask({ set: ['set', 3] });
  await changed;
  assert.ok(Number(await plain.ask({ writes: true })) - before <= 1);
});

test('a server is trusted by a person, and trust survives a restart', async (t) => {
  const own = join(folder.path, 'trust');
  const secure = {
    security: 'Basic256Sha256',
    user: 'edge',
    passwordFile: join(import.meta.dirname, 'opcua-password'),
  };
  const first = startSource(t, { port: plain.port, tags: machine, opcua: secure, pkiPath: own });
  await eventually(() => first.source.state === 'untrusted', { deadlineMs: 30_000, describe: 'it is not trusted' });
  await first.source.stop();
  const listed = await runCommand(['trust', '--pki', own]);
  const [fingerprint] = listed.output.split(' ');
  assert.match(fingerprint!, /^[0-9a-f]{40}$/);
  assert.match((await runCommand(['trust', fingerprint!, '--pki', own])).output, /^trusted: /);
  const second = startSource(t, { port: plain.port, tags: machine, opcua: secure, pkiPath: own });
  await second.live();
  await second.source.stop();
  assert.equal((await runCommand(['trust', '0000', '--pki', own])).code, 2);
});

test('every data type of the conformance address space is a reading, or bad with its reason', async (t) => {
  const args = ['browse', `opc.tcp://127.0.0.1:${conformance.port}`, '--security', 'None', '--pki', pkiPath];
  const { code, output, notes } = await runCommand(args);
  assert.equal(code, 0, output);
  const { sources } = sourcesFrom(output);
  const all = sources[0] as OpcuaSource;
  assert.ok(all.tags.length > 100, notes);
  const tags = all.tags.slice(0, 400).map(({ device, tag, node }) => ({ device, tag, node }));
  const { source, samples, live } = startSource(t, {
    pkiPath,
    port: conformance.port,
    tags,
    opcua: { publishMs: 200 },
  });
  await live();
  const seen = () => new Set(samples.map(({ tag }) => tag)).size;
  await eventually(() => seen() === tags.length, { deadlineMs: 30_000, describe: 'each tag has a sample' });
  const kinds = new Set(samples.filter(({ quality }) => quality !== 'bad').map(({ value }) => typeof value));
  assert.deepEqual([...kinds].sort(), ['boolean', 'number', 'string']);
  for (const { quality, reason } of samples) assert.ok(quality === 'good' || reason !== undefined);
  assert.ok(source.badTags < tags.length / 4, `${source.badTags} of ${tags.length} are bad`);
});

test('one element of an array is read, and a deadband of the server is for numbers alone', async (t) => {
  const tags = [
    { node: 'nsu=urn://node-opcua-simulator;s=Static_Array_Int32', index: 3 },
    { node: 'nsu=urn://node-opcua-simulator;s=Static_Array_Int32', index: 500 },
    { node: 'nsu=urn://node-opcua-simulator;s=Static_Scalar_Double', serverDeadband: 0.5 },
    { node: 'nsu=urn://node-opcua-simulator;s=Static_Scalar_String', serverDeadband: 0.5 },
  ];
  const { samples, live } = startSource(t, { pkiPath, port: conformance.port, tags });
  await live();
  const first = (tag: number) => samples.find((sample) => sample.tag === tag);
  await eventually(() => tags.every((_, tag) => first(tag) !== undefined), {
    deadlineMs: 20_000,
    describe: 'each tag has a sample',
  });
  assert.deepEqual([typeof first(0)!.value, first(0)!.quality], ['number', 'good']);
  assert.deepEqual([first(1)!.quality, first(1)!.reason], ['bad', 'BadIndexRangeNoData']);
  assert.equal(typeof first(2)!.value, 'number');
  assert.equal(typeof first(3)!.value, 'string');
});

test('replies that are wrong, short, repeated, late or lost end nothing, and values come again', async (t) => {
  const link = await startLink(t, plain.port);
  const sources = Array.from({ length: 2 }, () => {
    const opcua = { timeoutMs: 1_000 };
    return startSource(t, { pkiPath, port: link.port, tags: machine, opcua, random: () => 0.01 });
  });
  const random = seededRandom(fuzzed().seed);
  let changed = 0;
  link.onReply = (bytes) => {
    if (random() > 0.3) return bytes;
    changed++;
    const kind = random();
    // Those without an answer take the time of their timeout.
    if (kind < 0.02) return undefined;
    if (kind < 0.04) return bytes.subarray(0, Math.floor(random() * bytes.length));
    // After the timeout of its request.
    if (kind < 0.06) return sleep(1_200, bytes);
    if (kind < 0.3) return Buffer.concat([bytes, bytes]);
    const wrong = Buffer.from(bytes);
    const count = kind < 0.6 ? wrong.length : 1 + Math.floor(4 * random());
    for (let at = 0; at < count; at++) wrong[Math.floor(random() * wrong.length)] = Math.floor(256 * random());
    return wrong;
  };
  await eventually(() => changed > 10, { deadlineMs: 20_000, describe: 'many replies were changed' });
  link.onReply = (bytes) => bytes;
  await Promise.all(sources.map(({ live }) => live()));
});
