import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Endpoints } from '@tailrace/platform/endpoints';
import { issueToken } from '@tailrace/platform/token';
import { TailraceError } from '@tailrace/protocol/error';
import { eventually } from '@tailrace/testkit/eventually';
import { type Supervised, startSupervised, textOf } from '@tailrace/testkit/supervised';
import { freePortBase } from '../ports.ts';
import type { TargetAddresses } from './attack-definition.ts';
import { type Target, type TargetOptions, type TargetTokenOptions, tokenIssueOf } from './target.ts';

const root = resolve(import.meta.dirname, '../..');
const startDeadlineMs = 60_000;
const stopDeadlineMs = 20_000;

/** All of Tailrace in one process, as `make demo` starts it, without the simulated devices. */
export class StandaloneTarget implements Target {
  readonly kind = 'standalone';
  readonly addresses: TargetAddresses;
  readonly #options: TargetOptions;
  readonly #portBase: number;
  readonly #data: string;
  readonly #log: string;
  #process: Supervised | undefined;

  private constructor(options: TargetOptions, portBase: number) {
    this.#options = options;
    this.#portBase = portBase;
    this.#data = join(options.folder, 'data');
    this.#log = join(options.folder, 'standalone.log');
    this.addresses = {
      ingestPort: portBase + 2,
      streamPort: portBase + 1,
      mqttPort: portBase + 4,
      internalPort: portBase + 1010,
      dashboardPort: portBase,
    };
  }

  static async start(options: TargetOptions): Promise<StandaloneTarget> {
    const target = new StandaloneTarget(options, await freePortBase(0));
    await target.#start();
    return target;
  }

  get pids(): readonly number[] {
    return this.#process === undefined ? [] : [this.#process.pid];
  }

  get internalPorts(): readonly number[] {
    return [this.addresses.internalPort];
  }

  async issueToken(options: TargetTokenOptions): Promise<string> {
    const secret = (await readFile(join(this.#data, 'key'), 'utf8')).trim();
    return await issueToken(tokenIssueOf(secret, options));
  }

  async restart(signal: 'SIGTERM' | 'SIGKILL'): Promise<number> {
    await this.#process?.stop({ signal, deadlineMs: stopDeadlineMs });
    const startedAtMs = performance.now();
    await this.#start();
    return performance.now() - startedAtMs;
  }

  async stop(): Promise<void> {
    await this.#process?.stop({ signal: 'SIGKILL' });
  }

  async #start(): Promise<void> {
    const { heapMb, env = {} } = this.#options;
    const child = await startSupervised({
      command: process.execPath,
      args: [...(heapMb === undefined ? [] : [`--max-old-space-size=${heapMb}`]), 'services/standalone/src/main.ts'],
      cwd: root,
      env: {
        ...process.env,
        TAILRACE_DATA_DIR: this.#data,
        TAILRACE_PORT_BASE: String(this.#portBase),
        TAILRACE_PLANT: 'false',
        TAILRACE_HOUSE: 'false',
        TAILRACE_HOST_READINGS: 'false',
        TAILRACE_LOG_LEVEL: process.env['TAILRACE_LOG_LEVEL'] ?? 'warn',
        ...env,
      },
      output: { file: this.#log },
    });
    this.#process = child;
    await eventually(() => this.#assertReady(child), { deadlineMs: startDeadlineMs, describe: 'standalone is ready' });
  }

  async #assertReady(child: Supervised): Promise<void> {
    const exit = child.exit();
    if (exit !== undefined) {
      // Thrown until the deadline: the log has the reason.
      throw new TailraceError('closed', `it exited (${exit.code ?? exit.signal}): ${await textOf(this.#log)}`);
    }
    const endpoints = JSON.parse(await readFile(join(this.#data, 'endpoints.json'), 'utf8')) as Endpoints;
    // The file of a killed process still exists.
    if (endpoints.ingest[0]?.pid !== child.pid) throw new TailraceError('unavailable', 'it has not started');
  }
}
