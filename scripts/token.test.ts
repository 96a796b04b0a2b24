import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';

const script = join(import.meta.dirname, 'token.ts');

function runToken(...args: readonly string[]): { readonly status: number | null; readonly output: string } {
  const env = { ...process.env, TAILRACE_TOKEN_SECRET: 'a secret of at least thirty-two bytes' };
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { env, encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

test('make token signs a token with the rights that are requested', () => {
  for (const rights of [
    ['--subscribe', 'plant1.>'],
    ['--publish', 'plant1.>'],
    ['--command', 'plant1.>'],
    ['--role', 'operator'],
  ]) {
    const { status, output } = runToken(...rights);
    assert.equal(status, 0, output);
    const claims = Buffer.from(output.split('.')[1] ?? '', 'base64url').toString();
    assert.match(claims, new RegExp(rights[1]!));
  }
});

test('make token without rights is an error, not a token that every server refuses', () => {
  const { status, output } = runToken('--subject', 'anna');
  assert.equal(status, 1);
  assert.match(output, /^token: expected at least one of --subscribe, --publish, --command and --role .*, got none\n$/);
});
