import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { writeWholeFile } from '@tailrace/platform/whole-file';

export interface GatewayOptions {
  /** Path of the gateway as a device. */
  readonly device: string;
  /** Folder of its sources file, store and certificates. */
  readonly dataDir: string;
  /** File with the certificate of an OPC UA server that the gateway trusts from the start. */
  readonly trustedCertificate: string;
  /** Content of the sources file. */
  readonly sources: object;
  readonly ingestUrl: string;
  /** For the gateway and the devices of its sources. */
  readonly token: string;
  readonly internalHost: string;
  readonly internalPort: number;
  readonly logLevel: string;
  readonly logPretty: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How long reports are sent at a stop; what is left is on disk. */
const drainMs = 1_000;
const restartMs = 2_000;

/**
 * Runs the edge gateway in a process of its own, as at machines, and starts it again when it exits. It is a development
 * package of standalone, and not in its image.
 */
export class Gateway {
  readonly #options: GatewayOptions;
  #child: ChildProcess | undefined;
  #restart: Timer | undefined;
  #isStopped = false;

  constructor(options: GatewayOptions) {
    this.#options = options;
  }

  /** 0 while it does not run. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Writes its files and starts the process. Does not wait until it is ready. */
  async start(): Promise<void> {
    const { dataDir, sources, trustedCertificate } = this.#options;
    const trusted = join(dataDir, 'pki', 'trusted', 'certs');
    await mkdir(trusted, { recursive: true });
    await copyFile(trustedCertificate, join(trusted, 'plant.pem'));
    await writeWholeFile(join(dataDir, 'sources.json'), `${JSON.stringify(sources, undefined, 2)}\n`);
    if (!this.#isStopped) this.#fork();
  }

  /** Resolves when it has exited. */
  async drain(): Promise<void> {
    this.#isStopped = true;
    this.#restart?.cancel();
    const child = this.#child;
    if (child === undefined) return;
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
  }

  /** Kills what is left. Idempotent. */
  stop(): void {
    this.#isStopped = true;
    this.#restart?.cancel();
    this.#child?.kill('SIGKILL');
  }

  #fork(): void {
    const { clock, logger } = this.#options;
    // A group of its own: Ctrl-C is for standalone, which stops it first.
    const child = fork(new URL('./gateway-process.ts', import.meta.url), {
      env: this.#environment(),
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#child = child;
    const gone = (facts: object) => {
      if (this.#child !== child) return;
      this.#child = undefined;
      if (this.#isStopped) return;
      logger.error({ ...facts, restartMs }, 'the edge gateway has exited; starting it again');
      this.#restart = clock.after(restartMs, () => this.#fork());
    };
    child.once('exit', (code, signal) => gone({ code, signal }));
    child.once('error', (error) => gone({ error }));
  }

  #environment(): Record<string, string> {
    const { device, dataDir, ingestUrl, token, internalHost, internalPort, logLevel, logPretty } = this.#options;
    return {
      TAILRACE_EDGE_PATH: device,
      TAILRACE_INGEST_URL: ingestUrl,
      TAILRACE_TOKEN: token,
      TAILRACE_SOURCES_FILE: join(dataDir, 'sources.json'),
      TAILRACE_STORE_PATH: join(dataDir, 'store'),
      TAILRACE_PKI_PATH: join(dataDir, 'pki'),
      TAILRACE_INTERNAL_HOST: internalHost,
      TAILRACE_INTERNAL_PORT: String(internalPort),
      TAILRACE_DRAIN_MS: String(drainMs),
      TAILRACE_LOG_LEVEL: logLevel,
      TAILRACE_LOG_PRETTY: String(logPretty),
    };
  }
}
