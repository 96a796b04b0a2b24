import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { clientMessageBytes, clientMessageFromBytes, clientMessageFromJson } from './client-message.ts';
import { closeCodes } from './close.ts';
import { decodeCommandRequest, encodeCommandRequest } from './device-command.ts';
import { deviceCommandFromJson } from './device-command-json.ts';
import { type ErrorCode, errorCodes, TailraceError } from './error.ts';
import { isDevicePath } from './path.ts';
import { isPattern } from './pattern.ts';
import { positionsFromToken } from './position.ts';
import { reportFromJson } from './report.ts';
import {
  serverMessageBytes,
  serverMessageFromBytes,
  serverMessageFromJson,
  serverMessageJson,
} from './server-message.ts';

const document = readFileSync(join(import.meta.dirname, '../../../docs/PROTOCOL.md'), 'utf8');

/** JSON blocks of the document, with the comment before them. */
const examples = [...document.matchAll(/(?:<!-- (.*?) -->\n)?```json\n(.*?)```/gs)].map(([, kind, text]) => ({
  kind,
  text: text ?? '',
}));

/** Checks of the examples, by kind. */
const checks: Readonly<Record<string, (text: string) => void>> = {
  report: (text) => void reportFromJson(JSON.parse(text)),
  'client → server': (text) => {
    const message = clientMessageFromJson(text);
    assert.deepEqual(message, JSON.parse(text));
    assert.deepEqual(clientMessageFromBytes(clientMessageBytes(message)), message);
  },
  'server → client': (text) => {
    const message = serverMessageFromJson(text);
    assert.ok(message, 'expected a message of a known kind');
    assert.deepEqual(JSON.parse(serverMessageJson(message)), JSON.parse(text));
    assert.deepEqual(serverMessageFromBytes(serverMessageBytes(message)), message);
    if ('subscribed' in message) {
      assert.equal(positionsFromToken(message.subscribed.position).epoch, message.subscribed.epoch);
    }
  },
  // `services/ingest/src/devices/examples.test.ts` reads these with the codec of ingest.
  'device → server': (text) => assert.equal(typeof JSON.parse(text).type, 'string'),
  'server → device': (text) => assert.equal(typeof JSON.parse(text).type, 'string'),
  command: (text) => {
    const command = deviceCommandFromJson(JSON.parse(text));
    assert.deepEqual(decodeCommandRequest(encodeCommandRequest({ command })), { command });
  },
  'ingest result': (text) => {
    const { accepted, rejected } = JSON.parse(text);
    assert.ok(Number.isInteger(accepted));
    for (const rejection of rejected) {
      assert.deepEqual(Object.keys(rejection), ['index', 'code', 'message']);
      assert.ok(codesOf('Error codes').includes(rejection.code));
    }
  },
  'stream result': (text) => assertStreamResult(JSON.parse(text)),
  'stream line': (text) => {
    const { progress, result } = JSON.parse(text);
    if (progress === undefined) assertStreamResult(result);
    else assert.ok(Object.values(progress).every(Number.isInteger));
  },
  devices: (text) => {
    const { devices, next, count, notOnline } = JSON.parse(text);
    for (const { device, state, received } of devices) {
      assert.ok(isDevicePath(device) && Number.isInteger(received));
      assert.ok(['online', 'stale', 'offline'].includes(state));
    }
    assert.equal(next, devices.at(-1).device);
    assert.ok(Number.isInteger(count) && Number.isInteger(notOnline));
  },
  // `services/ingest/src/bridge/protocol-page.test.ts` reads it as ingest does.
  bridges: (text) => assert.ok(JSON.parse(text).bridges.length > 0),
  claims: (text) => {
    const { publish, subscribe } = JSON.parse(text);
    assert.ok([...publish, ...subscribe].every(isPattern));
  },
};

interface StreamResult {
  readonly error?: { readonly code: string; readonly retryable: boolean };
  readonly accepted: number;
  readonly rejectedCount: number;
  readonly rejected: readonly { readonly code: string }[];
  readonly codes: Readonly<Record<string, number>>;
  readonly resume?: { readonly line: number; readonly byte: number };
}

function assertStreamResult({ error, accepted, rejectedCount, rejected, codes, resume }: StreamResult): void {
  const known = codesOf('Error codes');
  const counts = Object.values(codes);
  assert.ok(Number.isInteger(accepted) && rejected.length <= 100);
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    rejectedCount,
  );
  for (const code of [...Object.keys(codes), ...rejected.map((each) => each.code)]) assert.ok(known.includes(code));
  if (error === undefined) return;
  assert.equal(error.retryable, new TailraceError(error.code as ErrorCode, 'x').retryable);
  assert.ok(Number.isInteger(resume?.line) && Number.isInteger(resume?.byte));
}

/** Returns the first cells of the table under the heading. */
function codesOf(heading: string): readonly string[] {
  const section = document.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  return [...section.matchAll(/^\| `?(\w+)`? \|/gm)].map(([, code]) => code!).filter((code) => code !== 'code');
}

for (const [index, { kind, text }] of examples.entries()) {
  test(`example ${index + 1} of the protocol, ${kind}, is valid`, () => {
    const check = checks[kind ?? ''];
    assert.ok(check, `expected a known kind of example, got <!-- ${kind} -->`);
    check(text);
  });
}

test('every message has an example', () => {
  const shown = new Set(examples.flatMap(({ text }) => Object.keys(JSON.parse(text))));
  const proto = readFileSync(join(import.meta.dirname, '../../../proto/tailrace/v1/client.proto'), 'utf8');
  const bodies = [...proto.matchAll(/oneof message \{(.*?)\}/gs)].map(([, body]) => body!);
  const kinds = bodies.flatMap((body) => [...body.matchAll(/(\w+) = /g)].map(([, name]) => name!));
  assert.equal(bodies.length, 2);
  const jsonName = (name: string) => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  for (const kind of kinds) assert.ok(shown.has(jsonName(kind)), kind);
});

test('the tables have exactly the error codes and close codes', () => {
  assert.deepEqual(codesOf('Error codes'), errorCodes);
  assert.deepEqual(
    codesOf('Close codes'),
    Object.values(closeCodes).map(({ code }) => `${code}`),
  );
  for (const name of Object.keys(closeCodes)) assert.ok(document.includes(`\`${name}\``), name);
});

test('the table of error codes has which are retryable', () => {
  for (const code of codesOf('Error codes')) {
    const { retryable } = new TailraceError(code as ErrorCode, 'x');
    const row = document.split('\n').find((line) => line.startsWith(`| \`${code}\` |`));
    assert.ok(row?.endsWith(retryable ? '| yes |' : '| no |'), code);
  }
});
