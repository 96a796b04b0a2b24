import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { findChromium } from './chromium.ts';
import { createTempDir } from './tempdir.ts';

test('the browser of TAILRACE_CHROMIUM comes before that of the PATH, and must be a program', async () => {
  const temp = await createTempDir('chromium-test');
  const program = join(temp.path, 'google-chrome');
  await writeFile(program, '');
  await assert.rejects(findChromium({ TAILRACE_CHROMIUM: program, PATH: '' }), {
    code: 'invalid_config',
    message: /which is no program/,
  });
  await chmod(program, 0o755);
  assert.equal(await findChromium({ TAILRACE_CHROMIUM: program, PATH: '/nowhere' }), program);
  assert.equal(await findChromium({ PATH: `/nowhere:${temp.path}` }), program);
  await temp.remove();
});

test('without a browser the error names what to install on Debian and on macOS', async (t) => {
  // A Mac has it outside of the PATH.
  if (process.platform === 'darwin') return t.diagnostic('macOS searches /Applications too');
  await assert.rejects(findChromium({ PATH: '/nowhere' }), {
    code: 'unavailable',
    message: /make tools installs it \(Debian: apt install chromium; macOS: brew install --cask google-chrome\)/,
  });
});
