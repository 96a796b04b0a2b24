import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

for (const [script, args, expected] of [
  ['simulate.ts', ['--seeds', 'abc'], /^SEEDS: expected an integer from 1 to 10000000, got abc\n$/],
  ['simulate.ts', ['--seeds', '0'], /^SEEDS: expected/],
  ['simulate.ts', ['--seed', '1.5'], /^SEED: expected/],
  ['mutation-table.ts', ['--seeds', 'abc'], /^SEEDS: expected/],
] as const) {
  test(`${script} ${args.join(' ')} does not pass as a run without a failure`, () => {
    const { status, stderr } = spawnSync(process.execPath, [join(import.meta.dirname, script), ...args], {
      encoding: 'utf8',
    });
    assert.match(stderr, expected);
    assert.equal(status, 1);
  });
}
