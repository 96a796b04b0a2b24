import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTailraceError } from '@tailrace/protocol/error';
import { assertDevicePath } from '@tailrace/protocol/path';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { PathMap } from './path-map.ts';

test('nodes and devices have paths below the prefix', () => {
  const map = new PathMap({ prefix: 'plant1.sparkplug' });
  assert.equal(map.pathOf({ group: 'g', node: 'n' }), 'plant1.sparkplug.g.n');
  assert.equal(map.pathOf({ group: 'g', node: 'n', device: 'd' }), 'plant1.sparkplug.g.n.d');
  assert.equal(map.pathOf({ group: 'g', node: 'n' }), 'plant1.sparkplug.g.n');
  assert.equal(map.size, 2);
});

test('[tck-id-topic-structure-namespace-duplicate-device-id-across-edge-node] [tck-id-topic-structure-namespace-unique-device-id] the same device ID under two nodes is two devices', () => {
  const map = new PathMap({ prefix: 'p' });
  assert.notEqual(
    map.pathOf({ group: 'g', node: 'n1', device: 'd' }),
    map.pathOf({ group: 'g', node: 'n2', device: 'd' }),
  );
});

test('[tck-id-case-sensitivity-sparkplug-ids] IDs that differ in case alone are two devices', () => {
  const map = new PathMap({ prefix: 'p' });
  assert.equal(map.pathOf({ group: 'g', node: 'n', device: 'd1' }), 'p.g.n.d1');
  assert.equal(map.pathOf({ group: 'g', node: 'n', device: 'D1' }), 'p.g.n.D1');
});

test('characters that a path cannot contain become _, unless the configuration maps the ID', () => {
  const map = new PathMap({ prefix: 'p', ids: { 'Line 3': 'line3' } });
  assert.equal(map.pathOf({ group: 'Line 3', node: 'Größe.1', device: '😀' }), 'p.line3.Gr__e_1._');
  assert.equal(map.pathOf({ group: 'Line 4', node: '__proto__' }), 'p.Line_4.__proto__');
  assert.equal(map.pathOf({ group: 'constructor', node: 'n' }), 'p.constructor.n');
});

test('the second of two IDs with one path is rejected until the first is released', () => {
  const map = new PathMap({ prefix: 'p' });
  const first = { group: 'g', node: 'n', device: 'a 1' };
  const second = { group: 'g', node: 'n', device: 'a.1' };
  assert.equal(map.pathOf(first), 'p.g.n.a_1');
  assert.throws(() => map.pathOf(second), {
    code: 'conflict',
    message: 'device path p.g.n.a_1: expected one Sparkplug ID, got "g/n/a.1" beside "g/n/a 1"; map one of them by ids',
  });
  map.release(second);
  assert.throws(() => map.pathOf(second), { code: 'conflict' });
  map.release(first);
  assert.equal(map.pathOf(second), 'p.g.n.a_1');
  assert.throws(() => map.pathOf(first), { code: 'conflict' });
});

test('a path over the limits of device paths is rejected', () => {
  const map = new PathMap({ prefix: 'a.b.c.d.e' });
  assert.equal(map.pathOf({ group: 'g', node: 'n', device: 'd' }), 'a.b.c.d.e.g.n.d');
  const deep = new PathMap({ prefix: 'a.b.c.d.e.f' });
  assert.throws(() => deep.pathOf({ group: 'g', node: 'n', device: 'd' }), { code: 'invalid_path' });
  assert.throws(() => map.pathOf({ group: 'g', node: 'x'.repeat(65) }), { code: 'invalid_path' });
  assert.equal(map.size, 1);
});

test('at pathsMax further nodes and devices are rejected', () => {
  const map = new PathMap({ prefix: 'p', pathsMax: 1 });
  map.pathOf({ group: 'g', node: 'n' });
  assert.throws(() => map.pathOf({ group: 'g', node: 'm' }), { code: 'limit_reached' });
  map.pathOf({ group: 'g', node: 'n' });
});

test('a configuration that cannot be applied is an error', () => {
  assert.throws(() => new PathMap({ prefix: 'a b' }), { code: 'invalid_path' });
  assert.throws(() => new PathMap({ prefix: 'p', ids: { x: 'a.b' } }), {
    code: 'invalid_path',
    message: 'ids: expected one segment of a device path for "x", got "a.b"',
  });
});

test('property: no two owners have one path', () => {
  const id = fc.string({ unit: fc.constantFrom('a', 'A', '_', '.', ' ', 'ü'), minLength: 1, maxLength: 2 });
  const owner = fc.record({ group: id, node: id, device: fc.option(id, { nil: undefined }) });
  fc.assert(
    fc.property(fc.array(owner, { maxLength: 60 }), fc.array(fc.nat(), { maxLength: 10 }), (owners, released) => {
      const map = new PathMap({ prefix: 'p' });
      const held = new Map<string, string>();
      for (const [at, each] of owners.entries()) {
        const key = JSON.stringify(each);
        try {
          const path = map.pathOf(each);
          assertDevicePath(path);
          assert.ok(!held.has(path) || held.get(path) === key);
          held.set(path, key);
        } catch (error) {
          assert.ok(isTailraceError(error) && error.code === 'conflict', String(error));
        }
        if (!released.includes(at)) continue;
        map.release(each);
        for (const [path, holder] of held) if (holder === key) held.delete(path);
      }
    }),
    fuzzed(),
  );
});

test('without a prefix the group is the first segment, and a name does not reserve its path', () => {
  const map = new PathMap({ prefix: '' });
  assert.equal(map.nameOf({ group: 'plant1', node: 'cell 1', device: 'd' }), 'plant1.cell_1.d');
  assert.equal(map.size, 0);
  assert.equal(map.pathOf({ group: 'plant1', node: 'cell_1' }), 'plant1.cell_1');
});
