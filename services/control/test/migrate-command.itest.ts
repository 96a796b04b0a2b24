import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { createPgDatabase } from '@tailrace/database/pg';
import { systemClock } from '@tailrace/platform/clock';
import { databaseAccessFrom, databaseSettings } from '@tailrace/platform/database-settings';
import { silentLogger } from '@tailrace/platform/logger';
import { type PostgresServer, startPostgres } from '@tailrace/testkit/postgres';
import { z } from 'zod';

/** `main.ts migrate` on real PostgreSQL, as the Job of the chart runs it. */
const main = resolve(import.meta.dirname, '../src/main.ts');
const files = readdirSync(resolve(import.meta.dirname, '../migrations')).sort();
let postgres: PostgresServer;

before(async () => {
  postgres = await startPostgres();
});
after(() => postgres.stop());

interface Run {
  readonly code: number;
  readonly output: string;
  readonly lines: readonly { readonly message: string; readonly applied?: readonly string[] }[];
}

function migrateCommand(settings: NodeJS.ProcessEnv, args: readonly string[] = []): Promise<Run> {
  return new Promise((done) => {
    const env = { PATH: process.env['PATH'], ...settings };
    execFile(process.execPath, [main, 'migrate', ...args], { env, timeout: 60_000 }, (error, stdout, stderr) => {
      const lines = stderr.split('\n').filter((line) => line.startsWith('{'));
      const code = error === null ? 0 : Number(error.code);
      done({ code, output: stdout + stderr, lines: lines.map((line) => JSON.parse(line)) });
    });
  });
}

test('two migrate at once: one applies all migrations, the other none, and both exit with 0', async () => {
  const url = await postgres.createDatabase();
  const runs = await Promise.all([1, 2].map(() => migrateCommand({ TAILRACE_DATABASE_URL: url })));
  for (const { code, output } of runs) assert.equal(code, 0, output);
  const applied = runs.map(({ lines }) => lines.at(-1)?.applied);
  assert.deepEqual(applied.flat(), files);
  assert.ok(applied.some((each) => each?.length === 0));
});

test('the environment of a control process serves as it is, and a setting of nothing is refused', async () => {
  const url = await postgres.createDatabase();
  const settings = { TAILRACE_DATABASE_URL: url, TAILRACE_KAFKA_BROKERS: 'kafka:9092', TAILRACE_PORT: '8085' };
  assert.equal((await migrateCommand(settings)).code, 0);
  const { code, output } = await migrateCommand({ ...settings, TAILRACE_DATABSE_URL: url });
  assert.equal(code, 1);
  assert.match(output, /databseUrl|TAILRACE_DATABSE_URL/);
});

test('a store of a newer program, and a server that is away, are errors with the exit code 1 and the reason', async () => {
  const url = await postgres.createDatabase();
  assert.equal((await migrateCommand({ TAILRACE_DATABASE_URL: url })).code, 0);
  const access = databaseAccessFrom(z.strictObject(databaseSettings).parse({ databaseUrl: url }), systemClock);
  const database = createPgDatabase({ ...access, logger: silentLogger, applicationName: 'test' });
  await database.start();
  await database.query("INSERT INTO control_schema_version (version, name, md5) VALUES (999, 'later', 'x')");
  await database.close();
  const newer = await migrateCommand({ TAILRACE_DATABASE_URL: url });
  assert.equal(newer.code, 1);
  assert.match(newer.output, /the store cannot be migrated: .*migration 999 \(later\).*Run the newer program/);
  const away = await migrateCommand({ TAILRACE_DATABASE_URL: 'postgres://tailrace@127.0.0.1:1/tailrace' });
  assert.equal(away.code, 1);
  assert.match(away.output, /the store cannot be migrated: /);
});
