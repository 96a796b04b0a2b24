import { setTimeout as sleep } from 'node:timers/promises';
import type { StackCluster } from '../../scripts/stack-cluster.ts';

const pausedMs = 20_000;

/** What is held against a figure of a fault. */
export interface Target {
  readonly what: 'shown again p95' | 'pause p99';
  readonly ms: number;
}

/** What is done to a running system, whatever that is made of. */
export interface Disruption {
  readonly name: string;
  readonly words: string;
  readonly target?: Target;
}

export interface Fault extends Disruption {
  /** Does it, and resolves when what was to be started again is ready. `say` gets its steps. */
  run(cluster: StackCluster, say: (step: string) => void): Promise<void>;
}

/** Which one is killed, and which is paused: another, because a node that has come back has no clients yet. */
const killed = 0;
const paused = 1;

/** What can be asked for, in the order in which it is best done. A fault may have several acts, each with a row of its own. */
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
      words: 'the killed node comes back under its name',
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
      async run(cluster, say) {
        for (const node of cluster.fanout) {
          say(`${node.name} is asked to end`);
          await node.end('SIGTERM');
          say(`${node.name} has ended`);
          await node.start();
          say(`${node.name} is ready`);
        }
      },
    },
  ],
  nats: [{ name: 'nats', words: 'NATS killed and started again', run: (cluster) => cluster.nats.restart() }],
  kafka: [
    {
      name: 'kafka',
      words: 'Kafka stopped and started again on its data',
      async run(cluster, say) {
        await cluster.kafka.kill('SIGTERM');
        say('Kafka has ended');
        await cluster.kafka.restart();
        say('Kafka serves');
      },
    },
  ],
};
