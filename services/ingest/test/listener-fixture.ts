import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { createMemoryNetwork } from '@tailrace/bus/memory';
import { silentLogger } from '@tailrace/platform/logger';
import type { CommandOutcome } from '@tailrace/protocol/device-command';
import { encodePayload, type Metric } from '@tailrace/sparkplug/payload';
import { type MessageType, topicOf } from '@tailrace/sparkplug/topic';
import { CommandClient } from '@tailrace/testkit/command-client';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import type { IngestSettings } from '../src/config.ts';
import { nextTurn } from './device-fixture.ts';
import { type ConnectOptions, type MqttDevice, startMqtt } from './mqtt-fixture.ts';
import { bdSeqOf, metricOf } from './sparkplug-fixture.ts';

export const node = 'plant1.cell1';
export const startMs = 1_764_446_400_000;

/** Ingest to which the edge node `cell1` of the group `plant1` connects by MQTT in memory, and a sender of commands. */
export async function startListener(t: TestContext, sparkplug: Partial<IngestSettings> = { mqttSparkplug: 'active' }) {
  const clock = createFakeClock({ nowMs: startMs });
  const network = createMemoryNetwork({ clock, random: () => 0.5 });
  const fixture = await startMqtt(t, {
    clock,
    bus: network.createBus({ node: 'ingest-0', logger: silentLogger }),
    settings: sparkplug,
  });
  const bus = network.createBus({ node: 'control', logger: silentLogger });
  await bus.start();
  const client = new CommandClient(bus, clock);
  await client.start();
  const token = Buffer.from(await fixture.tokenFor([`${node}.>`, node], { receiveCommands: [`${node}.>`, node] }));
  const settle = async () => {
    for (let turn = 0; turn < 5; turn++) {
      await clock.advance(1);
      await nextTurn();
    }
  };
  const death = {
    topic: topicOf({ type: 'NDEATH', group: 'plant1', node: 'cell1' }),
    payload: Buffer.from(encodePayload({ timestamp: startMs, metrics: [bdSeqOf(1)] })),
    qos: 1 as const,
    retain: false,
  };
  const loginOptions = { username: node, password: token } satisfies ConnectOptions;
  return {
    ...fixture,
    clock,
    settle,
    loginOptions,
    death,
    /** Resolves with the client of the edge node, which has published the births of itself and of `drive1`. */
    async born(): Promise<MqttDevice> {
      const device = await fixture.login({ ...loginOptions, will: death });
      device.subscribe('spBv1.0/plant1/DCMD/cell1/#');
      assert.deepEqual(await device.next(), ['suback 0x01']);
      publish(device, 'NBIRTH', { seq: 0, metrics: [bdSeqOf(1)] });
      const metrics = [metricOf('open', false, { alias: 7 }), metricOf('speed', 1, { alias: 8 })];
      publish(device, 'DBIRTH', { seq: 1, device: 'drive1', metrics });
      await settle();
      return device;
    },
    async send(device: string, name: string, params: Record<string, number | boolean>): Promise<CommandOutcome[]> {
      const outcomes: CommandOutcome[] = [];
      const issued = clock.now();
      const command = {
        ...{ id: `c${Math.random()}`, device, via: node, name, params, qos: 1 as const, issued },
        ...{ deadline: issued + 10_000, fence: 0, session: 0, subject: 'test', traceparent: '' },
      };
      void (async () => {
        for await (const outcome of client.send(command)) outcomes.push(outcome);
      })();
      await settle();
      return outcomes;
    },
  };
}

export interface Published {
  readonly seq: number;
  readonly device?: string;
  readonly metrics?: Metric[];
}

/** Two messages of one time and number would be one that came twice. */
let messages = 0;

/** Returns a time that no other message has. */
export const nextTime = () => startMs + ++messages;

export function publish(client: MqttDevice, type: MessageType, { device, ...payload }: Published): void {
  const topic = topicOf({ type, group: 'plant1', node: 'cell1', ...(device === undefined ? {} : { device }) });
  client.publish(topic, encodePayload({ timestamp: nextTime(), ...payload }), { qos: 0 });
}
