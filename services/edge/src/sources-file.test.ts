import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import type { ModbusSource } from './modbus/modbus-source.ts';
import type { OpcuaSource } from './opcua/opcua-source.ts';
import { sourcesFrom } from './sources-file.ts';

type Json = Record<string, unknown>;

const tag = { tag: 'power', table: 'holding', address: 3_060, type: 'f32', scale: 0.001, unit: 'kW' };
const unit = { unit: 1, device: 'plant1.meter1', addressing: 'one', tags: [tag] };
const source = { name: 'meters', modbus: { host: '10.0.0.9' }, units: [unit] };

/** Returns a file with one source, whose unit and tag have these fields. */
function file(changes: { source?: Json; modbus?: Json; unit?: Json; tag?: Json } = {}): string {
  const tags = [{ ...tag, ...changes.tag }];
  const units = [{ ...unit, tags, ...changes.unit }];
  const modbus = { ...source.modbus, ...changes.modbus };
  return JSON.stringify({ sources: [{ ...source, modbus, units, ...changes.source }] });
}

test('a file has its defaults, and the addresses of the protocol', () => {
  const { sources } = sourcesFrom(file());
  const [meters] = sources as [ModbusSource];
  assert.deepEqual(meters!.modbus, {
    host: '10.0.0.9',
    port: 502,
    framing: 'tcp',
    timeoutMs: 1_000,
    inFlightMax: 4,
    connections: 'shared',
  });
  assert.deepEqual(meters!.tags, [
    { device: 'plant1.meter1', tag: 'power', unit: 'kW', filter: undefined, write: undefined, writeWith: 'auto' },
  ]);
  const [first] = meters!.units;
  assert.deepEqual(first!.tags, [
    {
      tag: 0,
      table: 'holding',
      address: 3_059,
      format: { type: 'f32', wordOrder: 'big', byteOrder: 'big', scale: 0.001, offset: 0 },
      pollMs: 1_000,
    },
  ]);
  assert.deepEqual(first!.limitsOf('holding'), { lengthMax: 125, gapMax: 16, forbidden: [] });
  assert.deepEqual(first!.limitsOf('coil'), { lengthMax: 2_000, gapMax: 256, forbidden: [] });
});

test('a tag has its own orders and interval, and RTU framing a smaller gap', () => {
  const text = file({
    modbus: { framing: 'rtu' },
    unit: { wordOrder: 'little', pollMs: 5_000, forbidden: [{ table: 'holding', from: 10, to: 12 }] },
    tag: { byteOrder: 'little', pollMs: 250, filter: { swingingDoor: 0.05 }, write: { min: 0, max: 5 } },
  });
  // `unit` replaces the tags.
  const parsed = JSON.parse(text) as { sources: [{ units: [{ tags: Json[] }] }] };
  const { sources } = sourcesFrom(JSON.stringify(parsed)) as unknown as { sources: [ModbusSource] };
  const [options] = sources[0]!.units[0]!.tags;
  assert.deepEqual([options!.format.wordOrder, options!.format.byteOrder, options!.pollMs], ['little', 'little', 250]);
  assert.deepEqual(sources[0]!.tags[0]!.filter, { swingingDoor: 0.05, maxSilenceMs: 60_000 });
  assert.deepEqual(sources[0]!.units[0]!.limitsOf('holding'), { lengthMax: 125, gapMax: 10, forbidden: [[10, 13]] });
});

const opcuaTag = { device: 'plant1.boiler', tag: 'temperature', node: 'nsu=urn:plc;s=T' };
const opcuaSource = { name: 'boiler', opcua: { endpoint: 'opc.tcp://10.0.0.5:4840' }, tags: [opcuaTag] };

function opcuaFile(opcua: Json = {}, tag: Json = {}): string {
  const tags = [{ ...opcuaTag, ...tag }];
  return JSON.stringify({ sources: [{ ...opcuaSource, opcua: { ...opcuaSource.opcua, ...opcua }, tags }] });
}

test('an OPC UA source has its defaults, of which the security is the encrypted one', () => {
  const [boiler] = sourcesFrom(opcuaFile()).sources as [OpcuaSource];
  assert.deepEqual(boiler.opcua, {
    endpoint: 'opc.tcp://10.0.0.5:4840',
    security: 'Basic256Sha256',
    mode: 'SignAndEncrypt',
    profile: 'default',
    publishMs: 500,
    timeoutMs: 5_000,
  });
  const { node, sampleMs, maxSilenceMs } = boiler.tags[0]!;
  assert.deepEqual([node, sampleMs, maxSilenceMs], ['nsu=urn:plc;s=T', 1_000, 60_000]);
});

function assertInvalid(text: string, message: RegExp): void {
  assert.throws(() => sourcesFrom(text), { code: 'invalid_config', message }, text.slice(0, 200));
}

test('an error has the path of its field, what was expected, and the value', () => {
  const at = String.raw`sources\[0\]\.units\[0\]\.tags\[0\]`;
  const cases: readonly (readonly [string, RegExp | string])[] = [
    ['{', /expected JSON/],
    ['[]', /the file: expected object/],
    ['{"sources":[]}', /sources: expected at least 1 items/],
    ['{"sources":[],"alarms":[]}', /the file: expected no key "alarms"; expected one of sources, rules, commands/],
    [file({ modbus: { hots: 1 } }), /modbus: expected no key "hots"; expected one of host, port, /],
    [file({ modbus: { port: 0 } }), /modbus\.port: expected at least 1, got 0/],
    [file({ source: { name: 'a b' } }), /sources\[0\]\.name: expected 1 to 64 letters.*, got "a b"/],
    [file({ unit: { device: 'a..b' } }), /device: expected a device path.* got "a\.\.b"/],
    [file({ unit: { unit: 256 } }), /unit: expected at most 255, got 256/],
    [file({ unit: { pollMs: 10 } }), /pollMs: expected at least 50, got 10/],
    [file({ tag: { tag: 'a\u0000' } }), `${at}.tag: expected a text without control characters`],
    [file({ tag: { table: 'holdin' } }), `${at}.table: expected one of coil, discrete, input, holding, got "holdin"`],
    [file({ tag: { address: 0 } }), `${at}.address: expected 1 to 65536 with addressing "one", got 0`],
    [file({ tag: { address: 65_536 } }), `${at}.address: expected 2 registers up to 65535`],
    [file({ tag: { type: undefined } }), `${at}.type: expected a type for the table holding, got none`],
    [file({ tag: { table: 'coil' } }), `${at}.type: expected bool for the table coil, got f32`],
    [file({ tag: { type: 'bit' } }), `${at}.bit: expected it with the type bit`],
    [file({ tag: { bit: 3 } }), `${at}.bit: expected it with the type bit`],
    [file({ tag: { type: 'text', scale: undefined } }), `${at}.registers: expected it with the type text`],
    [file({ tag: { type: 'text', registers: 5 } }), `${at}.scale: expected scale and offset for numbers only`],
    [file({ tag: { as: 'text' } }), `${at}.as: expected it with the types u64 and i64 only`],
    [file({ tag: { scale: 0 } }), `${at}.scale: expected a number other than 0, got 0`],
    [file({ tag: { table: 'input', write: { min: 0, max: 1 } } }), `${at}.write: expected the table coil or holding`],
    [file({ tag: { write: { min: 2, max: 1 } } }), `${at}.write: expected min to be at most max`],
    [file({ tag: { write: { min: 2 } } }), `${at}.write.max: expected number, got none`],
    [file({ tag: { filter: { deadband: 1, swingingDoor: 1 } } }), `${at}.filter: expected at most one of`],
    [file({ tag: { filter: { deadbandPercent: 1 } } }), `${at}.filter: expected a range`],
    [file({ tag: { filter: { deadband: 1, maxSilenceMs: 10 } } }), `${at}.filter.maxSilenceMs: expected at least 1000`],
    [
      file({ unit: { forbidden: [{ table: 'holding', from: 3_059, to: 3_059 }] } }),
      `${at}.address: expected registers`,
    ],
    [file({ unit: { registersMax: 1 } }), `${at}.registers: expected at most registersMax 1, got 2`],
    [file({ unit: { tags: [tag, tag] } }), /expected each tag of a device once, got "plant1.meter1 power" again/],
    [file({ source: { units: [unit, unit] } }), /units\[1\]\.unit: expected each unit once, got 1 again/],
    [opcuaFile({ endpoint: 'http://x' }), /opcua\.endpoint: expected an endpoint as in opc\.tcp.* got "http:\/\/x"/],
    [opcuaFile({ security: 'Basic128Rsa15' }), /opcua\.security: expected one of None, Basic256Sha256/],
    [opcuaFile({ passwordFile: 'x' }), /opcua\.passwordFile: expected it with user only/],
    [opcuaFile({ profil: 'small' }), /opcua: expected no key "profil"; did you mean profile\?/],
    [opcuaFile({}, { node: 'Boiler' }), /tags\[0\]\.node: expected a node as in .* got "Boiler"/],
    [opcuaFile({}, { queue: 1 }), /tags\[0\]\.queue: expected at least 2, got 1/],
    [opcuaFile({}, { as: 'text', write: { min: 0, max: 1 } }), /tags\[0\]\.write: expected values with as "text"/],
    [JSON.stringify({ sources: [source, source] }), /sources\[1\]\.name: expected each name once, got meters again/],
  ];
  for (const [text, message] of cases) {
    assertInvalid(text, typeof message === 'string' ? new RegExp(message.replaceAll('.', '.')) : message);
  }
});

test('rules and commands name tags of the sources, and values that may be written', () => {
  const writable = { ...tag, tag: 'limit', address: 3_100, write: { min: 0, max: 10 } };
  const fileWith = (rest: Json): string =>
    JSON.stringify({ sources: [{ ...source, units: [{ ...unit, tags: [tag, writable] }] }], ...rest });
  const device = 'plant1.meter1';
  const when = { device, tag: 'power', above: 5 };
  const set = { limit: 3 };
  const rule = { when, actions: [{ event: 'high' }, { write: { device, tag: 'limit', value: 1 } }] };
  const command = { device, name: 'limit', set, confirm: { tag: 'power', value: 0 } };
  const { rules, commands } = sourcesFrom(fileWith({ rules: [rule], commands: [command] }));
  assert.deepEqual(rules[0]!.when, { ...when, hysteresis: 0, forMs: 0 });
  assert.deepEqual(commands, [command]);
  const cases: readonly (readonly [Json, RegExp])[] = [
    [
      { rules: [{ ...rule, when: { ...when, tag: 'x' } }] },
      /rules\[0\]\.when: expected a tag of a source, got "plant1/,
    ],
    [{ rules: [{ ...rule, when: { ...when, below: 1 } }] }, /rules\[0\]\.when: expected one of above and below/],
    [{ rules: [{ ...rule, actions: [] }] }, /rules\[0\]\.actions: expected at least 1 items/],
    [
      { rules: [{ ...rule, actions: [{ write: { device, tag: 'limit', value: 11 } }] }] },
      /rules\[0\]\.actions\[0\]\.write: value: expected a number of 0 to 10, got 11/,
    ],
    [{ commands: [{ ...command, set: { power: 1 } }] }, /commands\[0\]\.set: the tag is read-only/],
    [{ commands: [{ ...command, set: {} }] }, /commands\[0\]\.set: expected 1 to 32 tags/],
    [{ commands: [{ ...command, name: 'a b' }] }, /commands\[0\]\.name: expected 1 to 64 letters/],
    [{ commands: [command, command] }, /commands\[1\]\.name: expected each name once, got "limit" again/],
    [{ commands: [{ ...command, confirm: { tag: 'x', value: 1 } }] }, /commands\[0\]\.confirm: expected a tag/],
  ];
  for (const [rest, message] of cases) assertInvalid(fileWith(rest), message);
});

test('all errors of a file are reported, at most twenty', () => {
  const tags = Array.from({ length: 30 }, (_, n) => ({ ...tag, tag: `t${n}`, address: 0 }));
  assert.throws(
    () => sourcesFrom(file({ unit: { tags } })),
    ({ message }: Error) => message.split('\n').length === 22 && message.endsWith('and 10 more'),
  );
});

test('a file over a limit is refused', () => {
  assertInvalid(' '.repeat(4 * 1024 * 1024 + 1), /expected at most 4194304 bytes/);
  const tags = Array.from({ length: 30_000 }, (_, n) => ({ tag: `t${n}`, table: 'coil', address: n + 1 }));
  const sources = [1, 2].map((n) => ({
    ...source,
    name: `s${n}`,
    units: [{ ...unit, device: `p.d${n}`, tags }],
  }));
  assertInvalid(JSON.stringify({ sources }), /expected at most 50000 tags, got 60000/);
});

test('any JSON is a list of sources or one clear error', () => {
  const keys = fc.constantFrom('sources', 'units', 'tags', 'name', 'modbus', 'address', 'table', 'type', 'filter');
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof({ depthSize: 'small' }, fc.jsonValue(), fc.array(tie('tree')), fc.dictionary(keys, tie('tree'))),
  }));
  const changed = fc.tuple(keys, tree).map(([key, value]) => file({ tag: { [key]: value } }));
  const wild = fc.oneof(
    tree.map((value) => JSON.stringify(value)),
    changed,
    fc.string(),
  );
  fc.assert(
    fc.property(wild, (text) => {
      try {
        sourcesFrom(text);
      } catch (thrown) {
        assert.ok(thrown instanceof TailraceError && thrown.code === 'invalid_config', String(thrown));
        assert.ok(thrown.message.length < 10_000);
      }
    }),
    fuzzed(500),
  );
});
