import type { Attack } from '../attack-definition.ts';
import { AttackMqtt } from '../attack-mqtt.ts';

/** As many as a packet of 256 KiB has. */
const filters = Array.from({ length: 10_000 }, (_, n) => ({ topic: `a/${n}/command`, qos: 1 as const }));
const names = 1_000;
const report = JSON.stringify({ readings: [{ tag: 'n', value: 1 }] });

/** What a client can send without an answer of the log, and messages beyond its rate. */
export const mqttFlood: Attack = {
  name: 'mqtt-flood',
  words: 'gateways that announce and withdraw devices at full speed, filters by the thousands, endless topics',
  targets: ['standalone'],
  refusals: ['disconnect 0x97', 'disconnect 0x90'],
  attackMs: { full: 15_000, small: 1_000 },
  async run(context) {
    await Promise.all([announce(context, 'g1'), announce(context, 'g2'), subscribe(context), publish(context)]);
  },
};

type Context = Parameters<Attack['run']>[0];

/** Presence of devices, at QoS 0. */
async function announce(context: Context, clientId: string): Promise<void> {
  for (let n = 0; !context.isExpired(); ) {
    const client = await AttackMqtt.open(context, { clientId, device: `a.${clientId}`, clean: true });
    while (client !== undefined && !client.isClosed && !context.isExpired()) {
      for (let i = 0; i < 500; i++, n++)
        client.publish(`a/${clientId}/d${n % names}/presence`, n % 2 === 0 ? 'online' : 'offline');
      await client.whenWritable();
      await context.sleep(1);
    }
    client?.close();
    await context.sleep(20);
  }
}

async function subscribe(context: Context): Promise<void> {
  while (!context.isExpired()) {
    const client = await AttackMqtt.open(context, { clientId: 'filters', device: 'a.filters', clean: true });
    client?.send({ cmd: 'subscribe', messageId: 1, subscriptions: filters.slice() });
    for (let wait = 0; wait < 20 && client?.isClosed === false; wait++) await context.sleep(5);
    client?.close();
    await context.sleep(20);
  }
}

async function publish(context: Context): Promise<void> {
  while (!context.isExpired()) {
    const client = await AttackMqtt.open(context, { clientId: 'reports', device: 'a.reports', clean: true });
    // Beyond its rate it is not read.
    for (let i = 1; i <= 60; i++) client?.publish('a/reports/telemetry', report, { qos: 2, packetId: i });
    await context.sleep(50);
    const topic = `a/${'x'.repeat(60_000)}/telemetry`;
    for (let topicAlias = 1; topicAlias <= 32; topicAlias++)
      client?.send({
        cmd: 'publish',
        topic,
        payload: report,
        qos: 0,
        dup: false,
        retain: false,
        properties: { topicAlias },
      });
    for (let wait = 0; wait < 20 && client?.isClosed === false; wait++) await context.sleep(5);
    client?.close();
  }
}
