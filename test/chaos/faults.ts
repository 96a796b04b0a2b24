import { setTimeout as sleep } from 'node:timers/promises';
import type { StackCluster } from '../../scripts/stack-cluster.ts';

const pausedMs = 20_000;

/** The target for a figure of a fault. */
export interface Target {
  readonly what: 'shown again p95' | 'pause p99';
  readonly ms: number;
}

/** A disruption of a running system. */
export interface Disruption {
  readonly name: string;
  readonly words: string;
  readonly target?: Target;
}

export interface Fault extends Disruption {
  /** Resolves when processes that it starts again are ready. `printStep` receives its steps. */
  run(cluster: StackCluster, printStep: (step: string) => void): Promise<void>;
}

/** The nodes that are killed and paused: two, because a node that has started again has no clients yet. */
const killed = 0;
const paused = 1;

/** The faults in their usual order. One may have several steps, each with a row of the table. */
export const faultsByName: Readonly<Record<string, readonly Fault[]>> = {
  kill: [
    {
      name: 'kill',
      words: 'kill -9 of one node, which stays dead',
      target: { what: 'shown again p95', ms: 5_000 },
      run: (cluster) => cluster.fanout[killed]!.end('SIGKILL'),
    },
    {
      name: 'return',
      words: 'the killed node is restarted under its name',
      run: (cluster) => cluster.fanout[killed]!.start(),
    },
  ],
  pause: [
    {
      name: 'pause',
      words: `SIGSTOP of one node for ${pausedMs / 1000} s, then SIGCONT`,
      async run(cluster) {
        cluster.fanout[paused]!.signal('SIGSTOP');
        await sleep(pausedMs);
        cluster.fanout[paused]!.signal('SIGCONT');
      },
    },
  ],
  roll: [
    {
      name: 'roll',
      words: 'rolling restart of all nodes',
      target: { what: 'pause p99', ms: 2_000 },
      async run(cluster, printStep) {
        for (const node of cluster.fanout) {
          printStep(`${node.name} stops`);
          await node.end('SIGTERM');
          printStep(`${node.name} has stopped`);
          await node.start();
          printStep(`${node.name} is ready`);
        }
      },
    },
  ],
  nats: [{ name: 'nats', words: 'NATS killed and started again', run: (cluster) => cluster.nats.restart() }],
  kafka: [
    {
      name: 'kafka',
      words: 'Kafka stopped and started again on its data',
      async run(cluster, printStep) {
        await cluster.kafka.kill('SIGTERM');
        printStep('Kafka has stopped');
        await cluster.kafka.restart();
        printStep('Kafka is ready');
      },
    },
  ],
};
