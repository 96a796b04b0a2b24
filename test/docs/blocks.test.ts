import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { blocksOf, isPrinted } from './blocks.ts';
import { pages, root } from './pages.ts';

const block = (mark: string, text = 'true') => `${mark}\n\`\`\`sh\n${text}\n\`\`\`\n`;
const marksOf = (markdown: string) => blocksOf('p.md', markdown).blocks.map(({ mark }) => mark);
const faultsOf = (markdown: string) => blocksOf('p.md', markdown).faults;

test('every block of commands of the pages says where it runs, or why it does not', () => {
  for (const page of pages) {
    const { blocks, faults } = blocksOf(page, readFileSync(join(root, page), 'utf8'));
    assert.deepEqual(faults, []);
    assert.ok(blocks.length > 0, `${page} has commands`);
  }
});

test('marks say setting, time, and what stays', () => {
  assert.deepEqual(marksOf(block('<!-- run: laptop -->')), [
    { setting: 'laptop', ready: undefined, ends: false, withinMs: 120_000 },
  ]);
  assert.deepEqual(marksOf(block('<!-- run: cluster, ends, within 600 s -->')), [
    { setting: 'cluster', ready: undefined, ends: true, withinMs: 600_000 },
  ]);
  assert.deepEqual(marksOf(block('<!-- run: compose, stays, ready: Ctrl-C stops, within 30 s -->')), [
    { setting: 'compose', ready: 'Ctrl-C stops', ends: true, withinMs: 30_000 },
  ]);
  assert.deepEqual(marksOf(block('<!-- run: laptop, stays too, ready: up -->')), [
    { setting: 'laptop', ready: 'up', ends: false, withinMs: 120_000 },
  ]);
  assert.deepEqual(marksOf(block('<!-- not run: it needs a domain -->')), [
    { setting: 'not run', why: 'it needs a domain' },
  ]);
});

test('a block without a mark, with a wrong one, or one that cannot be copied, is a fault with its line', () => {
  assert.match(faultsOf(`text\n${block('')}`).join(), /p\.md:3: the line before/);
  assert.match(faultsOf(block('<!-- run: moon -->')).join(), /run: moon; right is one of laptop/);
  assert.match(faultsOf(block('<!-- run: laptop, sometimes -->')).join(), /the line before/);
  assert.match(
    faultsOf(block('<!-- run: laptop -->', 'helm install --set host=<your-domain>')).join(),
    /<your-domain>/,
  );
  assert.match(faultsOf(block('<!-- run: laptop -->', 'curl https://tailrace.example.org')).join(), /only an example/);
  assert.match(faultsOf('```sh\ntrue\n').join(), /no end/);
  assert.deepEqual(faultsOf(block('<!-- not run: a domain -->', 'curl https://<your-domain>')), []);
  assert.deepEqual(faultsOf(`\`\`\`yaml\na: <b>\n\`\`\`\n${block('<!-- run: laptop -->', 'cat <<EOF\nEOF')}`), []);
});

test('what a block prints is looked for with … for anything', () => {
  const [only] = blocksOf(
    'p.md',
    block('<!-- run: laptop -->', 'a\n# prints: 3 nodes … ready\nb\n  # prints: (done)'),
  ).blocks;
  assert.deepEqual(only!.prints, ['3 nodes … ready', '(done)']);
  assert.ok(isPrinted('3 nodes … ready', 'x 3 nodes are\nall ready.'));
  assert.ok(isPrinted('(done)', 'it is (done)'));
  assert.ok(!isPrinted('3 nodes … ready', 'ready: 3 nodes'));
});
