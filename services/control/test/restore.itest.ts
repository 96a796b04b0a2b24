import assert from 'node:assert/strict';
import { realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { createPgDatabase } from '@tailrace/database/pg';
import { silentLogger } from '@tailrace/platform/logger';
import { eventually } from '@tailrace/testkit/eventually';
import { type PostgresServer, startPostgres } from '@tailrace/testkit/postgres';
import { run } from '@tailrace/testkit/run';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { findTool } from '@tailrace/testkit/tool';
import { type ControlFixture, createControlFixture, type RunningControl, tokenOf } from './control-fixture.ts';

/* Backup and restore as docs/OPERATIONS.md has them: the log goes on, and is ahead of the store that was restored. */

let server: PostgresServer;
let fixture: ControlFixture;
let url: string;
let engineer: string;
let auditor: string;

before(async () => {
  server = await startPostgres();
  url = await server.createDatabase();
  fixture = await createControlFixture(async () => createPgDatabase({ url, logger: silentLogger, connectionsMax: 20 }));
  engineer = await tokenOf('erik', { roles: ['engineer'] });
  auditor = await tokenOf('audit', { roles: ['auditor'] });
});

after(async () => {
  await fixture?.stop();
  await server?.stop();
});

/** Runs a program of the release of PostgreSQL that the tests use. */
async function program(name: string, args: readonly string[]): Promise<void> {
  const folder = dirname(await realpath(await findTool('postgres')));
  await run(join(folder, name), [...args], { deadlineMs: 60_000 });
}

interface Entry {
  readonly chain: number;
  readonly number: number;
  readonly hash: string;
  /** In the topic. */
  readonly entry?: { readonly target: string };
}

const nameOf = ({ chain, number, hash }: Entry) => `${chain} ${number} ${hash}`;

/** Returns the entries of the topic, in its order, each once. */
async function inTopic(): Promise<readonly Entry[]> {
  const records = await fixture.values('tailrace.audit');
  const entries = records.map(({ value }) => JSON.parse(new TextDecoder().decode(value)) as Entry);
  return [...new Map(entries.map((entry) => [nameOf(entry), entry])).values()];
}

async function inStore({ request }: RunningControl): Promise<readonly Entry[]> {
  const { status, body } = await request(auditor, 'GET', '/v1/audit/export');
  assert.equal(status, 200);
  const lines =
    typeof body === 'string'
      ? body
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line))
      : [body];
  return lines as Entry[];
}

/** Resolves with the entries of the store when the topic has all of them. */
async function whenMoved(control: RunningControl): Promise<readonly Entry[]> {
  return await eventually(async () => {
    const known = new Set((await inTopic()).map(nameOf));
    const entries = await inStore(control);
    assert.deepEqual(
      entries.filter((entry) => !known.has(nameOf(entry))),
      [],
    );
    return entries;
  });
}

async function put({ request }: RunningControl, rule: string, version: number): Promise<void> {
  const condition = { kind: 'limits', tag: 'temperature', limits: { H: { value: 80 } } };
  const body = { name: rule, devices: ['plant1.>'], condition };
  const answer = await request(engineer, 'PUT', `/v1/rules/${rule}?version=${version}&force=true`, body);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
}

async function verified({ request }: RunningControl) {
  const { body } = await request(auditor, 'GET', '/v1/audit/verify');
  return { valid: body.valid, entries: body.entries, broken: body.broken };
}

test('a restored store has the audit of its dump, which verifies; the topic has what it lacks, and both go on', async (t) => {
  const folder = await createTempDir('restore');
  t.after(folder.remove);
  const dump = join(folder.path, 'control.dump');
  const first = await fixture.start('c1');
  await put(first, 'kept', 0);
  const dumped = await whenMoved(first);
  await program('pg_dump', ['--format', 'custom', '--file', dump, '--dbname', url]);
  await put(first, 'kept', 1);
  await put(first, 'lost', 0);
  const later = await whenMoved(first);
  assert.equal(later.length, dumped.length + 2);
  await first.stop();
  await program('pg_restore', ['--clean', '--if-exists', '--exit-on-error', '--dbname', url, dump]);

  const second = await fixture.start('c2');
  assert.deepEqual(await verified(second), { valid: true, entries: dumped.length, broken: [] });
  assert.deepEqual((await inStore(second)).map(nameOf), dumped.map(nameOf));
  assert.equal((await second.request(engineer, 'GET', '/v1/rules/lost')).status, 404);
  assert.equal((await second.request(engineer, 'GET', '/v1/rules/kept')).body.version, 1);
  const known = new Set(dumped.map(nameOf));
  const lacking = (await inTopic()).filter((entry) => !known.has(nameOf(entry)));
  assert.deepEqual(lacking.map(({ entry }) => entry?.target).toSorted(), ['rule/kept', 'rule/lost']);

  // What was lost is stored again, under the numbers that the topic has already: only the hashes differ.
  await put(second, 'kept', 1);
  await put(second, 'lost', 0);
  const present = await whenMoved(second);
  assert.deepEqual(await verified(second), { valid: true, entries: dumped.length + 2, broken: [] });
  const again = present.filter((entry) => !known.has(nameOf(entry)));
  const numbersOf = (entries: readonly Entry[]) => entries.map(({ chain, number }) => `${chain} ${number}`).toSorted();
  assert.deepEqual(numbersOf(again), numbersOf(lacking));
  assert.equal((await inTopic()).length, dumped.length + 4);
});
