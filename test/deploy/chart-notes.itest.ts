import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { parse } from 'yaml';
import { at, chartFolder, helmOutput, valuesFiles } from './chart.ts';

const run = promisify(execFile);

/**
 * Returns the notes that `helm install` prints. `helm template` omits them, and an install needs a cluster: so here
 * they are rendered as the text of a ConfigMap.
 */
async function notesOf(t: TestContext, file: string): Promise<string> {
  const { path, remove } = await createTempDir('chartnotes');
  t.after(remove);
  await cp(chartFolder, path, { recursive: true });
  const notes = join(path, 'templates', 'NOTES.txt');
  await writeFile(
    join(path, 'templates', '_notes.tpl'),
    `{{ define "notes" }}${await readFile(notes, 'utf8')}{{ end }}`,
  );
  await rm(notes);
  const template = 'kind: ConfigMap\napiVersion: v1\nmetadata: { name: notes }\ndata:\n  text: |';
  await writeFile(join(path, 'templates', 'notes.yaml'), `${template}{{ include "notes" . | nindent 4 }}\n`);
  const args = ['template', 'plant', path, '--values', join(path, file), '--show-only', 'templates/notes.yaml'];
  return String(at(parse(await helmOutput(args)), 'data.text'));
}

for (const file of valuesFiles) {
  test(`the command in the notes of ${file} works with every version of curl, and has a content type`, async (t) => {
    const notes = await notesOf(t, file);
    const command = /^ {2}curl(?:.*\\\n)*.*$/m.exec(notes)?.[0] ?? '';
    // A shell function replaces curl, and prints each argument on a line.
    const script = `curl() { printf '%s\\n' "$@"; }\n${command}`;
    const { stdout } = await run('sh', ['-c', script], { env: { ...process.env, TOKEN: 'secret' } });
    const [auth, bearer, header, type, data, body, url] = stdout.trim().split('\n');
    assert.deepEqual(
      [auth, bearer, header, type, data],
      ['-H', 'Authorization: Bearer secret', '-H', 'Content-Type: application/json', '-d'],
    );
    const { device, time } = JSON.parse(body!) as { device: string; time: number };
    assert.ok(device === 'home.kitchen' && Math.abs(time - Date.now()) < 60_000, body);
    assert.match(url!, /^https?:\/\/[^ ]+\/v1\/ingest$/);
  });
}
