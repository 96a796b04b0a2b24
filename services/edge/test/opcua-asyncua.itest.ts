import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { runCommand } from '../src/cli/command.ts';
import { sourcesFrom } from '../src/sources-file.ts';
import { type OpcuaPeer, startAsyncuaServer } from './opcua-peer.ts';
import { startLink, startSource, temporaryFolder } from './opcua-started.ts';

failOnLeaks();

const folder = temporaryFolder();
const pkiPath = join(folder.path, 'pki');
let asyncua: OpcuaPeer;

before(async () => {
  asyncua = await startAsyncuaServer();
});
after(async () => {
  await asyncua.stop();
  folder.remove();
});

test('a subscription that stops while its session answers is created again, and its tags are bad meanwhile', async (t) => {
  const tags = ['t0', 't1'].map((name) => ({ node: `nsu=urn:test;s=${name}` }));
  const { source, next, live } = startSource(t, { pkiPath, port: asyncua.port, tags });
  await live();
  const bad = next(0, ({ reason }) => reason === 'no_data');
  assert.equal(await asyncua.ask({ stopPublishing: true }), 1);
  await asyncua.ask({ set: ['t0', 7] });
  // The watchdog waits for ten seconds.
  await bad;
  const { value } = await next(0, ({ quality }) => quality === 'good');
  assert.equal(value, 7);
  assert.equal(source.connection.counts.idleSubscriptions, 1);
});

test('asyncua, which forgets the session with its connection, gets the subscriptions again', async (t) => {
  const link = await startLink(t, asyncua.port);
  const { source, next, live } = startSource(t, { pkiPath, port: link.port, tags: [{ node: 'nsu=urn:test;s=t2' }] });
  await live();
  link.reset();
  await eventually(() => !source.isLive, { deadlineMs: 20_000, describe: 'the loss is noticed' });
  const changed = next(0, ({ value }) => value === 9);
  await live();
  await asyncua.ask({ set: ['t2', 9] });
  assert.equal((await changed).quality, 'good');
});

test('browse lists what asyncua has, as a file that plan accepts, and probe shows a node', async () => {
  const endpoint = `opc.tcp://127.0.0.1:${asyncua.port}`;
  const none = ['--security', 'None', '--pki', pkiPath];
  const browsed = await runCommand(['browse', endpoint, ...none]);
  assert.equal(browsed.code, 0, browsed.output);
  const { sources } = sourcesFrom(browsed.output);
  assert.deepEqual(
    sources[0]!.tags.map(({ device, tag }) => `${device} ${tag}`),
    ['t0', 't1', 't2', 't3', 't4', 'set'].map((name) => `plant1.Machine ${name}`),
  );
  assert.match(browsed.notes!, /1 can be written/);
  const probed = await runCommand(['probe', endpoint, '--node', 'nsu=urn:test;s=set', ...none]);
  assert.equal(probed.code, 0, probed.output);
  assert.match(probed.output, /^type +double$/m);
  assert.match(probed.output, /^access +readable, writable$/m);
  const none2 = await runCommand(['probe', endpoint, '--node', 'nsu=urn:other;s=set', ...none]);
  assert.match(none2.output, /does not have the namespace/);
  const away = await runCommand(['probe', 'opc.tcp://127.0.0.1:1', '--node', 'i=2258', ...none]);
  assert.equal(away.code, 1, away.output);
});
