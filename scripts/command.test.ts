import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { test } from 'node:test';

const script = join(import.meta.dirname, 'command.ts');

/** Resolves with the error output of a command that is refused before any installation is searched for. */
function refused(args: readonly string[], cwd = import.meta.dirname): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [script, ...args], { cwd }, (error, _output, errors) => {
      if (error?.code === 1) resolve(errors);
      else reject(new Error(`expected exit code 1, got ${error?.code ?? 0}: ${errors}`));
    });
  });
}

test('make command names the variable that is missing or invalid', async () => {
  const [device, name, params] = await Promise.all([
    refused(['--name', 'stop']),
    refused(['--device', 'plant1.line2.press1']),
    refused(['--device', 'plant1.line2.press1', '--name', 'set', '--params', '{speed:3}']),
  ]);
  assert.match(device, /^command: DEVICE: expected one, as in DEVICE=/);
  assert.match(name, /^command: NAME: expected one, as in DEVICE=/);
  assert.match(
    params,
    /^command: PARAMS: expected a JSON object in single quotes, as in '\{"speed":3\}', got \{speed:3\}/,
  );
});

test('make command ignores the endpoints of an installation that was killed', async (t) => {
  const cwd = mkdtempSync(join(tmpdir(), 'tailrace-command-'));
  t.after(() => rmSync(cwd, { recursive: true }));
  const { pid } = spawnSync(process.execPath, ['--version']);
  mkdirSync(join(cwd, 'data/stack'), { recursive: true });
  const endpoints = { ingest: [{ pid }], fanout: [{ pid }], commands: { socket: join(cwd, 'nowhere.sock') } };
  writeFileSync(join(cwd, 'data/stack/endpoints.json'), JSON.stringify(endpoints));
  const errors = await refused(['--device', 'plant1.line2.press1', '--name', 'stop'], cwd);
  assert.match(errors, /expected endpoints\.json of a running make demo or make stack .*, found none/);
});
