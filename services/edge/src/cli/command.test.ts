import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { runCommand } from './command.ts';

const holding = { table: 'holding', type: 'u16' };

function fileWith(t: TestContext, content: unknown): string {
  const folder = mkdtempSync(join(tmpdir(), 'tailrace-edge-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'sources.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const sources = {
  sources: [
    {
      name: 'meters',
      modbus: { host: '10.0.0.9', framing: 'rtu' },
      units: [
        {
          unit: 7,
          device: 'plant1.meter1',
          addressing: 'entity',
          tags: [
            { ...holding, tag: 'voltage', address: 40_001 },
            { ...holding, tag: 'power', address: 40_003, type: 'f32', write: { min: 0, max: 1 } },
            { ...holding, tag: 'far', address: 40_100 },
            { tag: 'on', table: 'coil', address: 1, pollMs: 500 },
          ],
        },
      ],
    },
  ],
};

test('plan prints which tags share a request, and what is read needlessly', (t) => {
  const { code, output } = runCommand(['plan', '--sources', fileWith(t, sources)]);
  assert.equal(code, 0);
  assert.equal(
    output,
    `meters: Modbus rtu 10.0.0.9:502
  unit 7, holding, every 1000 ms: 2 requests
    0 to 3 (400001): 4 read, 1 unused: voltage, power
    99 (400100): 1 read, 0 unused: far
  unit 7, coil, every 500 ms: 1 request
    0 (000001): 1 read, 0 unused: on
`,
  );
});

test('--check-config counts what a valid file has', (t) => {
  const { code, output } = runCommand(['--check-config', '--sources', fileWith(t, sources)]);
  assert.equal(code, 0);
  assert.equal(output, 'the sources file is valid: 1 source, 4 tags, 1 of them writable\n');
});

test('the example of the README is valid', () => {
  const path = join(import.meta.dirname, '../../test/sources.json');
  assert.match(runCommand(['--check-config', '--sources', path]).output, /1 source, 4 tags, 1 of them writable/);
});

test('an invalid file is code 2, with its errors', (t) => {
  for (const args of [['plan'], ['--check-config']]) {
    const { code, output } = runCommand([...args, '--sources', fileWith(t, '{"sources":[{}]}')]);
    assert.equal(code, 2);
    assert.match(output, /^tailrace-edge: sources file:\n {2}sources\[0\]\.name: expected string, got none\n/);
  }
  const missing = runCommand(['--check-config', '--sources', '/nowhere/sources.json']);
  assert.equal(missing.code, 2);
  assert.match(missing.output, /cannot be read: ENOENT/);
});

test('another command line is code 2, with the usage', () => {
  for (const args of [
    [],
    ['plan'],
    ['paln', '--sources', 'x'],
    ['--wrong'],
    ['plan', '--check-config', '--sources', 'x'],
  ]) {
    const { code, output } = runCommand(args);
    assert.equal(code, 2, args.join(' '));
    assert.match(output, /usage:/);
  }
  assert.equal(runCommand(['--help']).code, 0);
});
