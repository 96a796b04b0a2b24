import { setTimeout as sleep } from 'node:timers/promises';
import type { KafkaBroker } from '@tailrace/testkit/kafka';
import type { Mosquitto } from '@tailrace/testkit/mosquitto';
import type { NatsServer } from '@tailrace/testkit/nats';
import type { StackService } from '../../scripts/stack-service.ts';
import type { CatchUp } from './gateway-sender.ts';

/** What is killed. */
export interface Plant {
  readonly kafka: KafkaBroker;
  readonly nats: NatsServer;
  readonly mosquitto: Mosquitto;
  readonly gateway: StackService;
  /** Watches how the gateway catches up, after ingest was away since this time, epoch ms. */
  readonly catchUp: (awayMs: number) => Promise<CatchUp>;
  /** The first has the bridges. */
  readonly ingest: readonly StackService[];
  /** The load balancer sends nothing to these. */
  readonly down: Set<StackService>;
  /** How long all ingest nodes are away in an outage, ms. */
  readonly outageMs: number;
}

export interface DeviceFault {
  readonly name: string;
  readonly words: string;
  /** Protocols of which messages may be in the log again. */
  readonly repeats: 'all' | readonly string[];
  /** Protocols of which messages that are not acknowledged may get lost, as they do before they reach Tailrace. */
  readonly loses: readonly string[];
  /**
   * Resolves when everything that it stopped is ready again, with a sentence for each target that was not met.
   * `printStep` receives its steps.
   */
  run(plant: Plant, printStep: (step: string) => void): Promise<readonly string[]>;
}

const ofBroker = ['bridge', 'Sparkplug'];
const ofHost = ['Sparkplug'];
/** Their messages have an ID, by which fanout delivers each once; those of others are looked up in the log first. */
const withoutLookup = ['HTTP', 'Sparkplug'];
const ofGateway = ['gateway', 'OPC UA'];
const pausedMs = 300;
/** Of a gateway when ingest is back: a second for the connection, and as much for the log. */
const firstMsMax = 2_000;
const lagMsMax = 2_000;

/** The faults in their usual order. */
export const deviceFaults: readonly DeviceFault[] = [
  {
    name: 'ingest',
    words: 'kill -9 of the ingest node with the bridges, and a new start',
    repeats: withoutLookup,
    loses: ofHost,
    async run({ ingest, down }) {
      const node = ingest[0]!;
      down.add(node);
      await node.end('SIGKILL');
      await sleep(pausedMs);
      await node.start();
      down.delete(node);
      return [];
    },
  },
  {
    name: 'nats',
    words: 'kill -9 of NATS, and a new start',
    repeats: [],
    loses: [],
    async run({ nats }) {
      await nats.kill();
      await sleep(pausedMs);
      await nats.restart();
      return [];
    },
  },
  {
    name: 'broker',
    words: 'kill -9 of the MQTT broker, and a new start',
    repeats: ofHost,
    loses: ofBroker,
    async run({ mosquitto }) {
      await mosquitto.kill();
      await sleep(pausedMs);
      await mosquitto.restart();
      return [];
    },
  },
  {
    name: 'gateway',
    words: 'kill -9 of the gateway, and a new start',
    repeats: ofGateway,
    loses: ofGateway,
    async run({ gateway }) {
      await gateway.end('SIGKILL');
      await gateway.start();
      return [];
    },
  },
  {
    name: 'kafka',
    words: 'kill -9 of Kafka, and a new start',
    repeats: withoutLookup,
    loses: [],
    async run({ kafka }, printStep) {
      await kafka.kill();
      await sleep(pausedMs);
      await kafka.restart();
      printStep('Kafka is ready');
      return [];
    },
  },
  {
    name: 'outage',
    words: 'all ingest nodes are away, while gateway and machines go on',
    repeats: 'all',
    loses: ofHost,
    async run({ ingest, down, outageMs, catchUp }, printStep) {
      const awayMs = Date.now();
      for (const node of ingest) down.add(node);
      await Promise.all(ingest.map((node) => node.end('SIGTERM')));
      printStep(`ingest is away for ${outageMs / 1000} s`);
      await sleep(outageMs);
      for (const node of ingest) await node.start();
      for (const node of ingest) down.delete(node);
      printStep('ingest is back');
      const { backlog, firstMs, maxLagMs, tookMs } = await catchUp(awayMs);
      printStep(
        `the gateway had ${backlog} reports; the first is acknowledged after ${Math.round(firstMs)} ms, all after ` +
          `${Math.round(tookMs)} ms; live readings were at most ${Math.round(maxLagMs)} ms late`,
      );
      const failures: string[] = [];
      if (firstMs > firstMsMax)
        failures.push(`gateway: expected the first reports within ${firstMsMax} ms, got ${firstMs}`);
      if (maxLagMs > lagMsMax) failures.push(`gateway: expected a lag of at most ${lagMsMax} ms, got ${maxLagMs}`);
      return failures;
    },
  },
];
