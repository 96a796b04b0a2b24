import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { createTempDir } from '@tailrace/testkit/tempdir';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../../..');

test('the published package works alone: its code in Node.js, its types in the compiler', async () => {
  const temp = await createTempDir('client-published');
  const installed = join(temp.path, 'node_modules/@tailrace/client');
  await run(process.execPath, [join(root, 'scripts/build-client.ts'), '--out', installed]);

  const program = `
    import { createStream, TailraceError } from '@tailrace/client';
    import { createTestServer } from '@tailrace/client/testing';
    const server = createTestServer();
    const stream = createStream({ url: server.url, WebSocket: server.WebSocket, clock: server.clock });
    const subscription = stream.subscribe('plant1.a', { onReports: (reports) => console.log(reports[0]?.readings[0]?.value) });
    await server.settled();
    server.publish('plant1.a', { temperature: 42.5 });
    await server.settled();
    console.log(subscription.state.name, new TailraceError('closed', 'x').code);
    stream.close();
  `;
  await writeFile(join(temp.path, 'package.json'), '{"type":"module"}');
  await writeFile(join(temp.path, 'program.js'), program);
  const { stdout } = await run(process.execPath, ['program.js'], { cwd: temp.path });
  assert.equal(stdout, '42.5\nlive closed\n');

  for (const name of ['first', 'loop', 'resume', 'view', 'history', 'publish', 'device']) {
    await cp(join(import.meta.dirname, `examples/${name}.ts`), join(temp.path, `${name}.ts`));
  }
  await writeFile(join(temp.path, 'program.ts'), program);
  const options = '--ignoreConfig --noEmit --strict --module nodenext --target es2022 --lib es2022,dom --types'.split(
    ' ',
  );
  const files = ['first', 'loop', 'resume', 'view', 'history', 'publish', 'device', 'program'].map(
    (name) => `${name}.ts`,
  );
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  await run(process.execPath, [compiler, ...options, '', ...files], { cwd: temp.path }).catch((error: unknown) =>
    assert.fail(String((error as { stdout?: string }).stdout)),
  );
  await temp.remove();
});
