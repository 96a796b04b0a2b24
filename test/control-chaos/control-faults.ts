import { setTimeout as sleep } from 'node:timers/promises';
import type { Broker } from '@tailrace/testkit/broker';
import type { StackService } from '../../scripts/stack-service.ts';
import { type Plant, signalPostgres } from './plant.ts';

/** What a fault may explain in the comparison with the reference; see alarm-replay.ts. */
export type Explains = 'late' | 'graced';

export interface ControlFault {
  readonly name: string;
  readonly words: string;
  readonly explains: readonly Explains[];
  /** Resolves when everything that it stopped is ready again. */
  run(plant: Plant): Promise<void>;
}

const awayMs = 300;
/** Above the session timeouts of consumer groups, and of ingest. */
const pausedMs = 8_000;
/** Above the time for which a process of control claims commands and partitions. */
const controlPausedMs = 13_000;

/** The process with index 0 is killed, the one with index 1 is paused: the other one is to take over. */
async function killed(service: StackService): Promise<void> {
  await service.end('SIGKILL');
  await sleep(awayMs);
  await service.start();
}

async function paused(service: StackService, forMs: number): Promise<void> {
  service.signal('SIGSTOP');
  await sleep(forMs);
  service.signal('SIGCONT');
}

async function killedBroker(broker: Broker): Promise<void> {
  await broker.kill();
  await sleep(awayMs);
  await broker.restart();
}

async function pausedBroker(broker: Broker): Promise<void> {
  await broker.signal('SIGSTOP');
  await sleep(pausedMs);
  await broker.signal('SIGCONT');
}

/** The faults in their usual order. */
export const controlFaults: readonly ControlFault[] = [
  {
    name: 'alarms',
    words: 'kill -9 of a process of alarms, and a new start',
    explains: ['graced'],
    run: ({ alarms }) => killed(alarms[0]!),
  },
  {
    name: 'control',
    words: 'kill -9 of a process of control, and a new start',
    explains: [],
    run: ({ control }) => killed(control[0]!),
  },
  {
    name: 'postgres',
    words: 'kill -9 of PostgreSQL, and a new start',
    explains: [],
    run: ({ cluster }) => killedBroker(cluster.postgres),
  },
  {
    name: 'nats',
    words: 'kill -9 of NATS, and a new start',
    explains: [],
    run: ({ cluster }) => killedBroker(cluster.nats),
  },
  {
    name: 'kafka',
    words: 'kill -9 of Kafka, and a new start',
    explains: ['late', 'graced'],
    run: ({ cluster }) => killedBroker(cluster.kafka),
  },
  {
    name: 'ingest',
    words: 'kill -9 of an ingest node, and a new start',
    explains: ['late'],
    async run({ ingest, down }) {
      const node = ingest[0]!;
      down.add(node);
      await killed(node);
      down.delete(node);
    },
  },
  {
    name: 'fanout',
    words: 'kill -9 of a fanout node, and a new start',
    explains: [],
    run: ({ fanout }) => killed(fanout[0]!),
  },
  {
    name: 'alarms-pause',
    words: `SIGSTOP of a process of alarms for ${pausedMs / 1000} s`,
    explains: ['graced'],
    run: ({ alarms }) => paused(alarms[1]!, pausedMs),
  },
  {
    name: 'control-pause',
    words: `SIGSTOP of a process of control for ${controlPausedMs / 1000} s`,
    explains: [],
    run: ({ control }) => paused(control[1]!, controlPausedMs),
  },
  {
    name: 'postgres-pause',
    words: `SIGSTOP of all processes of PostgreSQL for ${pausedMs / 1000} s`,
    explains: [],
    async run({ cluster }) {
      await signalPostgres(cluster.postgres, 'SIGSTOP');
      await sleep(pausedMs);
      await signalPostgres(cluster.postgres, 'SIGCONT');
    },
  },
  {
    name: 'nats-pause',
    words: `SIGSTOP of NATS for ${pausedMs / 1000} s`,
    explains: [],
    run: ({ cluster }) => pausedBroker(cluster.nats),
  },
  {
    name: 'kafka-pause',
    words: `SIGSTOP of Kafka for ${pausedMs / 1000} s`,
    explains: ['late', 'graced'],
    run: ({ cluster }) => pausedBroker(cluster.kafka),
  },
  {
    name: 'ingest-pause',
    words: `SIGSTOP of an ingest node for ${pausedMs / 1000} s`,
    explains: ['late'],
    async run({ ingest, down }) {
      const node = ingest[1]!;
      down.add(node);
      await paused(node, pausedMs);
      down.delete(node);
    },
  },
  {
    name: 'fanout-pause',
    words: `SIGSTOP of a fanout node for ${pausedMs / 1000} s`,
    explains: [],
    run: ({ fanout }) => paused(fanout[1]!, pausedMs),
  },
];

export const outageName = 'postgres-outage';
