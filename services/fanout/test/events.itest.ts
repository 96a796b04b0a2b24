import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { eventsTopicSpec } from '@tailrace/eventlog/events-topic';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { silentLogger } from '@tailrace/platform/logger';
import { partitionOf } from '@tailrace/protocol/partition';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { alarmEvent, alarmOf, bytesOf } from './alarm-events.ts';
import {
  type BrokeredNode,
  type Brokers,
  plantDevices,
  settled,
  startBrokeredNode,
  startBrokers,
  tokenForAll,
} from './brokered.ts';
import { type Watcher, watch } from './watcher.ts';

failOnLeaks({ graceMs: 5_000 });

const partitions = 6;
const prefix = 'events';
const devices = plantDevices(12);

let brokers: Brokers;
let nodes: BrokeredNode[] = [];
let eventLog: KafkaEventLog;
before(async () => {
  brokers = await startBrokers();
  const settings = { telemetryPartitions: partitions };
  for (const name of ['a', 'b']) nodes.push(await startBrokeredNode(brokers, name, prefix, settings));
  await settled(nodes, partitions, 1);
  eventLog = new KafkaEventLog({ brokers: brokers.kafka.brokers, prefix, clientId: 'alarms', logger: silentLogger });
  await eventLog.start();
  await eventLog.ensureTopic(eventsTopicSpec(`${prefix}.events`, partitions));
});
after(async () => {
  await eventLog.close();
  await Promise.all(nodes.map((node) => node.stop()));
  nodes = [];
  await brokers.stop();
});

/** Device and number of the transitions that a client has received, in order per device. */
function received(watcher: Watcher): string[] {
  return watcher.messages.all
    .flatMap((message) => ('alarm' in message ? message.alarm.events : []))
    .map(({ transition }) => `${transition?.device} ${transition?.number}`);
}

test('on Kafka and NATS an alarm is at the clients of both nodes in a fraction of a second, over a restart of one, too', async (t) => {
  const token = await tokenForAll();
  const watchers: Watcher[] = [];
  for (const { port } of nodes) {
    const watcher = await watch({ port, token });
    t.after(() => watcher.end());
    watcher.send({ subscribe: { id: 'a', channel: 'plant.>', alarms: true } });
    await watcher.next('subscribed');
    watchers.push(watcher);
  }
  const expected: string[] = [];
  const delays: number[] = [];
  const raise = async (number: number, of = devices) => {
    for (const device of of) {
      const startMs = performance.now();
      await eventLog.append(`${prefix}.events`, [{ key: device, value: bytesOf(alarmEvent(alarmOf(device, number))) }]);
      expected.push(`${device} ${number}`);
      const isThere = () => watchers.every((watcher) => received(watcher).includes(`${device} ${number}`));
      await eventually(isThere, { deadlineMs: 20_000, pollMs: 2, describe: `${device} ${number} is at both clients` });
      delays.push(performance.now() - startMs);
    }
  };
  await raise(1);
  await raise(2);
  t.diagnostic(`p50 ${delays.toSorted((a, b) => a - b)[12]!.toFixed(0)} ms, most ${Math.max(...delays).toFixed(0)} ms`);
  assert.equal(new Set(devices.map((device) => partitionOf(device, partitions))).size > 2, true);
  const [, second] = nodes;
  watchers.splice(1);
  await second!.stop();
  await raise(3);
  const seen = received(watchers[0]!);
  assert.deepEqual(seen.toSorted(), expected.toSorted());
});
