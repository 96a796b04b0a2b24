import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { launchChromium } from '@tailrace/testkit/chromium';
import { eventually } from '@tailrace/testkit/eventually';
import { startSupervised } from '@tailrace/testkit/supervised';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { freePortBase } from './ports.ts';

const root = resolve(import.meta.dirname, '..');
const run = promisify(execFile);

/** Options of curl newer than 7.76, the version of Red Hat Enterprise Linux 9; `--json` needs 7.82. */
const newOptions = /--(?:json|url-query|variable|expand-\S+|etag-\S+)\b/;

for (const host of ['127.0.0.1', '0.0.0.0']) {
  test(`the command that the dashboard shows without reports works unchanged, on any port, at ${host}`, async (t) => {
    const dir = await createTempDir('first command');
    t.after(() => dir.remove());
    const data = join(dir.path, 'data');
    const output = join(dir.path, 'standalone.log');
    const portBase = await freePortBase();
    const standalone = await startSupervised({
      command: 'node',
      args: [join(root, 'services/standalone/src/main.ts')],
      cwd: root,
      env: {
        ...process.env,
        TAILRACE_DATA_DIR: data,
        TAILRACE_HOST: host,
        TAILRACE_PORT_BASE: String(portBase),
        TAILRACE_PLANT: 'false',
        TAILRACE_HOUSE: 'false',
        TAILRACE_HOST_READINGS: 'false',
        TAILRACE_LOG_LEVEL: 'warn',
      },
      output: { file: output },
    });
    t.after(() => standalone.stop({ deadlineMs: 20_000 }));
    const token = await eventually(
      async () => {
        assert.equal(standalone.exit(), undefined, await readFile(output, 'utf8'));
        return (await readFile(join(data, 'token'), 'utf8')).trim();
      },
      { deadlineMs: 60_000, describe: 'standalone is ready' },
    );
    const browser = await launchChromium();
    t.after(() => browser.close());
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${portBase}`);
    const command = page.locator('[data-testid=first-command]');
    await command.waitFor({ timeout: 20_000 });
    const text = (await command.textContent()) ?? '';
    assert.match(text, new RegExp(`http://127\\.0\\.0\\.1:${portBase + 2}/v1/ingest`));
    assert.doesNotMatch(text, newOptions);
    const { stdout } = await run('sh', ['-c', text], { env: { ...process.env, TOKEN: token } });
    assert.equal((JSON.parse(stdout) as { accepted: number }).accepted, 1, stdout);
    await page.locator('[data-testid=device-item][data-device="plant1.hello"]').waitFor({ timeout: 10_000 });

    // The command that standalone prints, with a space in the name of the folder.
    const printed = await readFile(output, 'utf8');
    const line = printed.split('\n').find((each) => each.trim().startsWith('curl'))!;
    assert.doesNotMatch(printed, newOptions);
    const { stdout: answer } = await run('sh', ['-c', line], { cwd: root });
    assert.equal((JSON.parse(answer) as { accepted: number }).accepted, 1, answer);
  });
}
