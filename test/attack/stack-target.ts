import { issueToken } from '@tailrace/platform/token';
import { StackCluster } from '../../scripts/stack-cluster.ts';
import { freePortBase } from '../ports.ts';
import type { TargetAddresses } from './attack-definition.ts';
import { type Target, type TargetOptions, type TargetTokenOptions, tokenIssueOf } from './target.ts';

const nodes = 1;

/** Ingest and a fanout node as processes on a real Kafka and NATS, as `make stack` starts them. */
export class StackTarget implements Target {
  readonly kind = 'stack';
  readonly addresses: TargetAddresses;
  readonly #cluster: StackCluster;

  private constructor(cluster: StackCluster) {
    this.#cluster = cluster;
    const { ingest, fanout } = cluster;
    this.addresses = {
      ingestPort: ingest.port,
      streamPort: fanout[0]!.port,
      mqttPort: undefined,
      internalPort: portOf(fanout[0]!.internal),
      dashboardPort: undefined,
    };
  }

  static async start({ folder, heapMb, env = {} }: TargetOptions): Promise<StackTarget> {
    const portBase = await freePortBase(nodes);
    const cluster = new StackCluster({
      nodes,
      data: folder,
      keepsData: false,
      portBase,
      drainMs: 500,
      print: () => {},
    });
    cluster.common['TAILRACE_LOG_LEVEL'] ??= 'warn';
    Object.assign(cluster.common, env);
    if (heapMb !== undefined) cluster.common['NODE_OPTIONS'] = `--max-old-space-size=${heapMb}`;
    try {
      await cluster.start();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return new StackTarget(cluster);
  }

  get pids(): readonly number[] {
    return this.#services.map(({ pid }) => pid);
  }

  get internalPorts(): readonly number[] {
    return this.#services.map(({ internal }) => portOf(internal));
  }

  issueToken(options: TargetTokenOptions): Promise<string> {
    return issueToken(tokenIssueOf(this.#cluster.tokenSecret, options));
  }

  async restart(signal: 'SIGTERM' | 'SIGKILL'): Promise<number> {
    await Promise.all(this.#services.map((service) => service.end(signal)));
    const startedAtMs = performance.now();
    await Promise.all(this.#services.map((service) => service.start()));
    return performance.now() - startedAtMs;
  }

  async stop(): Promise<void> {
    await this.#cluster.stop();
  }

  get #services() {
    return [this.#cluster.ingest, ...this.#cluster.fanout];
  }
}

function portOf(url: string): number {
  return Number(new URL(url).port);
}
