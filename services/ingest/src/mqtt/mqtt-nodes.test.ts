import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createMemoryNetwork } from '@tailrace/bus/memory';
import { silentLogger } from '@tailrace/platform/logger';
import type { DeviceCommand } from '@tailrace/protocol/device-command';
import { CommandClient } from '@tailrace/testkit/command-client';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { nextTurn, press } from '../../test/device-fixture.ts';
import { type MqttDevice, startMqtt } from '../../test/mqtt-fixture.ts';

const topic = 'plant1/line2/press7/telemetry';
const commands = 'plant1/line2/press7/command';
const payload = '{"time":1764446400000,"readings":[{"tag":"t","value":1}]}';
const stays = { clean: false, properties: { sessionExpiryInterval: 600 } } as const;

/** Two ingest nodes with MQTT and a log each, on one network. */
async function startNodes(t: TestContext) {
  const clock = createFakeClock({ nowMs: 1_764_446_400_000 });
  const network = createMemoryNetwork({ clock, random: () => 0.5 });
  const start = async (node: string) => {
    const ingest = await startMqtt(t, { clock, node, bus: network.createBus({ node, logger: silentLogger }) });
    return {
      ...ingest,
      /** Connects while the clock moves on: another node is requested for the session. */
      async join(options: Parameters<typeof ingest.connect>[0] = {}): Promise<[MqttDevice, string]> {
        let isOpen = false;
        const opened = ingest.connect(options).finally(() => {
          isOpen = true;
        });
        while (!isOpen) {
          await nextTurn();
          await clock.advance(1);
        }
        return await opened;
      },
    };
  };
  const [a, b] = [await start('ingest-0'), await start('ingest-1')];
  await nextTurn();
  await clock.advance(10);
  return { clock, network, a, b };
}

test('[5 MQTT-3.1.2-5] a client that reconnects to another node resumes its session there: subscriptions and QoS 2', async (t) => {
  const { clock, a, b } = await startNodes(t);
  const [first] = await a.join(stays);
  first.subscribe(commands);
  first.publish(topic, payload, { qos: 2, packetId: 7 });
  await a.confirmAll();
  first.publish(topic, payload, { qos: 2, packetId: 8 });
  await a.confirmAll();
  first.pubrel(8);
  await nextTurn();
  assert.deepEqual(first.take(), ['suback 0x01', 'pubrec 7', 'pubrec 8', 'pubcomp 8']);
  await clock.advance(10);
  const [second, answer] = await b.join(stays);
  assert.equal(answer, 'connack present 0x00');
  assert.deepEqual(first.take(), ['disconnect 0x8e'], 'the newest connection has the session');
  // PUBREC was lost: the message is not appended again. Another one with a packet identifier that is free is.
  second.publish(topic, payload, { qos: 2, packetId: 7, dup: true });
  second.publish(topic, payload, { qos: 2, packetId: 8 });
  assert.equal(await b.confirmAll(), 1);
  second.pubrel(7);
  assert.deepEqual(await second.next(), ['pubrec 7', 'pubrec 8', 'pubcomp 7']);
});

test('a session that waits for its client moves to the node to which it connects, and a clean start discards it', async (t) => {
  const { clock, a, b } = await startNodes(t);
  const [first] = await a.join(stays);
  first.subscribe(commands);
  await first.next();
  first.wire.close();
  await nextTurn();
  await clock.advance(2_000);
  const [second, resumed] = await b.join(stays);
  assert.equal(resumed, 'connack present 0x00');
  assert.equal(await a.metric('tailrace_ingest_mqtt_stored_sessions'), 0);
  second.wire.close();
  await nextTurn();
  await clock.advance(10);
  const [third, clean] = await a.join({ ...stays, clean: true });
  assert.equal(clean, 'connack 0x00');
  assert.equal(await b.metric('tailrace_ingest_mqtt_stored_sessions'), 0);
  third.wire.close();
  await nextTurn();
  await clock.advance(10);
  assert.equal((await b.join(stays))[1], 'connack present 0x00', 'the one that the clean start has made');
});

test('a session that is older than the last one of another node is not resumed', async (t) => {
  const { clock, network, a, b } = await startNodes(t);
  const [first] = await a.join(stays);
  first.subscribe(commands);
  await first.next();
  first.wire.close();
  await nextTurn();
  await clock.advance(10);
  // The hand-over fails, so that the state stays where it is.
  network.partition('ingest-0');
  const [second, other] = await b.join(stays);
  assert.equal(other, 'connack 0x00');
  network.heal('ingest-0');
  await clock.advance(10_000);
  second.wire.close();
  await nextTurn();
  await clock.advance(10);
  const [third, answer] = await a.join(stays);
  // That of the other node, which has no subscription.
  assert.equal(answer, 'connack present 0x00');
  third.publish(topic, payload, { qos: 1 });
  await a.confirmAll();
  assert.deepEqual(third.take(), ['puback 1']);
});

test('[5 MQTT-4.4.0-1] a command without PUBACK is sent again by the next node of the session', async (t) => {
  const { clock, network, a, b } = await startNodes(t);
  const bus = network.createBus({ node: 'control', logger: silentLogger });
  await bus.start();
  const client = new CommandClient(bus, clock);
  await client.start();
  const token = { password: Buffer.from(await a.tokenFor([press])) };
  const [first] = await a.join({ ...stays, ...token });
  first.subscribe(commands);
  await first.next();
  const command = {
    ...{ id: 'c1', device: press, name: 'set', params: { speed: 3 }, qos: 1, deadline: clock.now() + 10_000 },
    ...{ issued: clock.now(), fence: 0, session: 0, subject: 'operator', traceparent: '', via: '' },
  } as DeviceCommand;
  void client.send(command)[Symbol.asyncIterator]().next();
  for (let turn = 0; turn < 10 && first.messages.length === 0; turn++) {
    await clock.advance(1);
    await nextTurn();
  }
  assert.deepEqual(first.take(), ['publish 1']);
  first.wire.close();
  await nextTurn();
  await clock.advance(10);
  const [second, answer] = await b.join({ ...stays, ...token });
  await nextTurn();
  assert.equal(answer, 'connack present 0x00');
  assert.deepEqual(
    second.messages.map(({ packetId, dup, payload: sent }) => [packetId, dup, JSON.parse(sent.toString()).id]),
    [[1, true, 'c1']],
  );
});
