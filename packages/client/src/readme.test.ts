import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createTestServer, type TestServer } from '@tailrace/client/testing';
// The example of a test is a test.
import '../test/examples/testing.ts';

/**
 * The examples are files, so that the compiler checks them. These tests run them, and compare the README with them.
 */
const folder = join(import.meta.dirname, '../test/examples');
const readme = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8');
const examples = [...readme.matchAll(/<!-- (\S+) -->\n```ts\n(.*?)```/gs)].map(([, name, text]) => ({
  name: name!,
  text,
}));

const original = { WebSocket: globalThis.WebSocket, fetch: globalThis.fetch, log: console.log };
let server: TestServer;
let lines: unknown[][] = [];

before(() => {
  globalThis.fetch = (_url, init) => {
    const reports = JSON.parse(String(init?.body)) as unknown[];
    return Promise.resolve(new Response(JSON.stringify({ accepted: reports.length, rejected: [] }), { status: 202 }));
  };
});
after(() => Object.assign(globalThis, { WebSocket: original.WebSocket, fetch: original.fetch }));

/**
 * Runs an example against a test server in the place of the network. Resolves with what it printed, once it was given a
 * report.
 */
async function run(name: string): Promise<unknown[][]> {
  server = createTestServer();
  globalThis.WebSocket = server.WebSocket as unknown as typeof globalThis.WebSocket;
  lines = [];
  console.log = (...line: unknown[]) => lines.push(line);
  try {
    const running = import(join(folder, name)) as Promise<unknown>;
    for (let waits = 0; server.channels.length === 0 && waits < 200 && name !== 'publish.ts'; waits++)
      await new Promise((resolve) => setImmediate(resolve));
    server.publish('plant1.line3.press7', { temperature: 42.5, state: 'done' });
    server.cut();
    await running;
    await server.settled();
    return lines;
  } finally {
    console.log = original.log;
    // Closes the streams of the example: 4403 allows no reconnect.
    server.drop(4403);
    await server.settled();
  }
}

test('the README has the examples unchanged', () => {
  assert.equal(examples.length, 9);
  for (const { name, text } of examples) assert.equal(text, readFileSync(join(folder, name), 'utf8'), name);
});

/** The expected output of each example for one report. */
const printed: Readonly<Record<string, (lines: string) => void>> = {
  'first.ts': (text) => assert.match(text, /live.*plant1\.line3\.press7.*42\.5/s),
  'loop.ts': (text) => assert.match(text, /plant1\.line3\.press7.*42\.5/s),
  'resume.ts': (text) => assert.equal(text, '[[1,"reports"]]'),
  'view.ts': (text) => assert.match(text, /\[1\].*everything as of/s),
  'history.ts': (text) => assert.match(text, /paused.*42\.5/s),
  'control.ts': (text) => assert.match(text, /accepted.*final.*done/s),
  'publish.ts': (text) => assert.equal(text, '[[1,[]]]'),
};

for (const [name, check] of Object.entries(printed)) {
  test(`the example ${name} prints the expected output`, async () => check(JSON.stringify(await run(name))));
}
