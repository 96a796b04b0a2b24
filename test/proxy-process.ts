import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { eventually } from '@tailrace/testkit/eventually';
import { startSupervised } from '@tailrace/testkit/supervised';
import { findTool } from '@tailrace/testkit/tool';

export interface ProxyOptions {
  readonly name: 'nginx' | 'haproxy';
  /** Created; the proxy writes into it only. */
  readonly folder: string;
  readonly config: string;
  /** Rejects until the proxy forwards a request. */
  readonly ready: () => Promise<void>;
}

/** Starts a proxy, and waits until it forwards a request. It stops with the test. */
export async function startProxyProcess(t: TestContext, { name, folder, config, ready }: ProxyOptions): Promise<void> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, 'proxy.conf');
  await writeFile(file, name === 'nginx' ? nginxIn(folder, config) : config);
  const args = name === 'nginx' ? ['-p', folder, '-c', file, '-e', join(folder, 'error.log')] : ['-db', '-f', file];
  const log = join(folder, 'output.log');
  const proxy = await startSupervised({ command: await findTool(name), args, output: { file: log } });
  t.after(() => proxy.stop());
  await eventually(
    async () => {
      assert.equal(proxy.exit(), undefined, await readFile(log, 'utf8'));
      await ready();
    },
    { deadlineMs: 20_000, pollMs: 50, describe: `${name} forwards a request` },
  );
}

/** Adds to a configuration of nginx that it runs in the foreground and writes into its own folder only. */
function nginxIn(folder: string, config: string): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${folder}/${kind};`,
  );
  // By default its workers run as another user, who may not write into the folder.
  const user = process.getuid?.() === 0 ? 'user root;\n' : '';
  return `${user}daemon off;\npid ${folder}/nginx.pid;\n${config.replace('http {', `http {\n${paths.join('\n')}`)}`;
}
