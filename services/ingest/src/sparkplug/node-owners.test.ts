import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodeOwners } from './node-owners.ts';

const keys = Array.from({ length: 1_000 }, (_, index) => `group/node${index}`);

function ownersOf(names: readonly string[]): Map<string, NodeOwners> {
  const owners = new Map(names.map((name) => [name, new NodeOwners(name)]));
  for (const each of owners.values()) each.update(names);
  return owners;
}

test('each edge node has one owner, and an added node of ingest takes a part of each', () => {
  const names = ['a', 'b', 'c'];
  const before = ownersOf(names);
  const ownerIn = (owners: Map<string, NodeOwners>, key: string) =>
    [...owners].filter(([, each]) => each.owns(key)).map(([name]) => name);
  for (const key of keys) assert.equal(ownerIn(before, key).length, 1);
  const after = ownersOf([...names, 'd']);
  const moved = keys.filter((key) => ownerIn(before, key)[0] !== ownerIn(after, key)[0]);
  assert.ok(moved.length > 150 && moved.length < 450, String(moved.length));
  for (const key of moved) assert.deepEqual(ownerIn(after, key), ['d']);
});

test('a node that is not among the names owns nothing, and the order of names does not matter', () => {
  const owners = new NodeOwners('a');
  assert.equal(owners.owns('g/n'), false);
  assert.equal(owners.update(['a', 'b']), true);
  assert.equal(owners.update(['b', 'a']), false);
  assert.equal(owners.update(['b']), true);
  assert.ok(keys.every((key) => !owners.owns(key)));
});
