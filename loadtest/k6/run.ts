/**
 * `make loadtest SCENARIO=average`: runs a scenario by k6 against TARGET and INGEST, by default the stack that `make
 * stack` runs here. `rolling-restart` restarts nodes meanwhile: of a cluster of its own, or by ROLL_COMMAND. Exits with
 * k6's exit code.
 */
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Endpoints } from '@tailrace/platform/endpoints';
import { isTailraceError, TailraceError } from '@tailrace/protocol/error';
import { findTool } from '@tailrace/testkit/tool';
import { runDevices } from '../devices/run.ts';
import { K6Run } from './k6-run.ts';
import { rollByCommand, rollOwnCluster } from './rolling.ts';

const root = resolve(import.meta.dirname, '../..');
/** Devices with a session, which k6 cannot simulate. */
const devicesScenario = 'devices';
const scenariosDir = join(import.meta.dirname, 'scenarios');

try {
  process.exitCode = await main(process.argv[2] ?? '');
} catch (thrown) {
  process.stderr.write(`${isTailraceError(thrown) ? thrown.message : String(thrown)}\n`);
  process.exitCode = 1;
}

async function main(scenario: string): Promise<number> {
  const scenarios = (await readdir(scenariosDir)).map((file) => file.replace(/\.ts$/, '')).sort();
  if (scenario === devicesScenario) return await runDevices({ ...(await devicesUrls()), ...process.env });
  if (!scenarios.includes(scenario)) {
    const names = [...scenarios, devicesScenario].sort().join(', ');
    throw new TailraceError('invalid_config', `SCENARIO: expected one of ${names}, got ${scenario}`);
  }
  const k6 = await findTool('k6');
  const summary = process.env['SUMMARY'] || join(root, 'data/loadtest');
  await mkdir(summary, { recursive: true });
  // k6's memory is mostly short-lived values of its interpreter: a rare collection saves a third of its processor time.
  const env = { GOGC: '600', ...process.env, SUMMARY: summary };
  const run = (urls: NodeJS.ProcessEnv) => new K6Run(k6, join(scenariosDir, `${scenario}.ts`), { ...env, ...urls });
  const isRolling = scenario === 'rolling-restart';
  if (isRolling && !process.env['TARGET']) return rollOwnCluster(run, join(root, 'data/loadtest'));
  const urls = process.env['TARGET'] ? {} : await stackUrls();
  const command = process.env['ROLL_COMMAND'];
  if (isRolling && command) return rollByCommand(run(urls), command);
  return run(urls).exited;
}

/** Returns the URLs and the token of `make stack`, unless the environment names another installation. */
async function devicesUrls(): Promise<NodeJS.ProcessEnv> {
  if (process.env['MQTT'] || process.env['DEVICE']) return {};
  const { mqtt, device, fanout, token } = await stackEndpoints();
  const targets = fanout.map(({ url }) => url).join(',');
  return { MQTT: mqtt?.url, DEVICE: device.url, TARGET: targets, TOKEN: token };
}

/** Returns the URLs and the token of the stack of `make stack`. */
async function stackUrls(): Promise<NodeJS.ProcessEnv> {
  const { fanout, ingest, control, token } = await stackEndpoints();
  return {
    TARGET: fanout.map(({ url }) => url).join(','),
    INGEST: ingest[0]?.url,
    CONTROL: control?.url,
    TOKEN: token,
  };
}

async function stackEndpoints(): Promise<Endpoints> {
  const file = resolve(root, process.env['DATA'] || 'data/stack', 'endpoints.json');
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch {
    throw new TailraceError(
      'not_found',
      `TARGET is not set, and no stack runs here (${file} does not exist). Run \`make stack\` in another terminal, or set ` +
        'TARGET=ws://host:8081 INGEST=http://host:8082 and TOKEN or TOKEN_SECRET; for SCENARIO=devices ' +
        'MQTT=mqtt://host:1883 or DEVICE=ws://host:8082, and TOKEN; see loadtest/k6/README.md',
    );
  }
  return JSON.parse(text) as Endpoints;
}
