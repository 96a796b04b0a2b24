import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
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

test('plan prints which tags share a request, and what is read needlessly', async (t) => {
  const { code, output } = await runCommand(['plan', '--sources', fileWith(t, sources)]);
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

test('plan prints the subscriptions of an OPC UA source', async (t) => {
  const file = {
    sources: [
      {
        name: 'boiler',
        opcua: { endpoint: 'opc.tcp://10.0.0.5:4840', profile: 'small' },
        tags: [
          { device: 'plant1.boiler', tag: 'temperature', node: 'nsu=urn:plc;s=T', sampleMs: 250 },
          { device: 'plant1.boiler', tag: 'pressure', node: 'ns=2;i=7' },
        ],
      },
    ],
  };
  const { code, output } = await runCommand(['plan', '--sources', fileWith(t, file)]);
  assert.equal(code, 0, output);
  assert.equal(
    output,
    `boiler: OPC UA opc.tcp://10.0.0.5:4840, Basic256Sha256 SignAndEncrypt
  profile small: 50 items a call, 250 a subscription
  subscription 1, published every 500 ms: 2 tags
    sampled every 500 ms, queue 3: temperature
    sampled every 1000 ms, queue 2: pressure
`,
  );
});

test('--check-config counts what a valid file has', async (t) => {
  const { code, output } = await runCommand(['--check-config', '--sources', fileWith(t, sources)]);
  assert.equal(code, 0);
  assert.equal(output, 'the sources file is valid: 1 source, 4 tags, 1 of them writable\n');
});

test('the example of the README is valid', async () => {
  const path = join(import.meta.dirname, '../../test/sources.json');
  assert.match(
    (await runCommand(['--check-config', '--sources', path])).output,
    /1 source, 4 tags, 1 of them writable/,
  );
});

test('an invalid file is code 2, with its errors', async (t) => {
  for (const args of [['plan'], ['--check-config']]) {
    const { code, output } = await runCommand([...args, '--sources', fileWith(t, '{"sources":[{}]}')]);
    assert.equal(code, 2);
    assert.match(output, /^tailrace-edge: sources file:\n {2}sources\[0\]\.name: expected string, got none\n/);
  }
  const missing = await runCommand(['--check-config', '--sources', '/nowhere/sources.json']);
  assert.equal(missing.code, 2);
  assert.match(missing.output, /cannot be read: ENOENT/);
});

test('another command line is code 2, with the usage', async () => {
  for (const args of [
    [],
    ['plan'],
    ['paln', '--sources', 'x'],
    ['--wrong'],
    ['plan', '--check-config', '--sources', 'x'],
    ['browse'],
    ['probe'],
    ['browse', 'a', 'b'],
  ]) {
    const { code, output } = await runCommand(args);
    assert.equal(code, 2, args.join(' '));
    assert.match(output, /usage:/);
  }
  assert.equal((await runCommand(['--help'])).code, 0);
});

test('an invalid option is code 2, with what was expected', async () => {
  const endpoint = 'opc.tcp://127.0.0.1:4840';
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['browse', 'http://x'], /endpoint: expected an endpoint as in opc\.tcp:\/\/host:4840, got "http:\/\/x"/],
    [['browse', endpoint, '--security', 'Basic128'], /security: expected one of None, Basic256Sha256/],
    [['browse', endpoint, '--root', 'x'], /--root: expected a node/],
    [['browse', endpoint, '--prefix', 'a b'], /--prefix: expected a device path/],
    [['probe', endpoint], /--node: expected a node/],
    [['probe', 'modbus://'], /device: expected modbus:\/\/HOST:502/],
    [['probe', 'modbus://127.0.0.1', '--unit', 'x'], /--unit: expected an integer of 0 to 255, got "x"/],
    [['trust', 'ab:cd', '--pki', '/nowhere'], /fingerprint: expected that of a certificate in \/nowhere\/rejected/],
  ];
  const ports = {
    connector: () => Promise.resolve({ open: () => Promise.reject(new Error('never opened')) }),
    streams: () => () => ({ write: () => {}, destroy: () => {} }),
    clock: createFakeClock(),
  };
  for (const [args, message] of cases) {
    const { code, output } = await runCommand(args, ports);
    assert.equal(code, 2, args.join(' '));
    assert.match(output, message);
  }
});
