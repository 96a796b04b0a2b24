import type { Attack } from '../attack-definition.ts';
import { AttackMqtt } from '../attack-mqtt.ts';

const together = 20;
const halfOpen = 200;
const will = {
  topic: 'a/lost/telemetry',
  // Nearly as large as a will may be.
  payload: Buffer.from(
    JSON.stringify({ readings: Array.from({ length: 4 }, (_, n) => ({ tag: `t${n}`, value: 'x'.repeat(900) })) }),
  ),
  delaySeconds: 86_400,
};

/** Sessions and wills are kept for clients that are gone: they must not use what honest devices need. */
export const mqttSessions: Attack = {
  name: 'mqtt-sessions',
  words: 'client IDs without end, whose sessions and wills never expire, beside half-open connections',
  targets: ['standalone'],
  refusals: [],
  expected: ['connack 0x00'],
  heapMb: 256,
  attackMs: { full: 15_000, small: 1_000 },
  async run(context) {
    const idle = Array.from({ length: halfOpen }, () => AttackMqtt.dial(context));
    for (const [index, client] of idle.entries()) if (index % 2 === 0) client.socket.write(Buffer.of(0x10, 0xff, 0x7f));
    for (let n = 0; !context.isExpired(); n += together) {
      const opened = await Promise.all(
        Array.from({ length: together }, (_, i) => AttackMqtt.open(context, { clientId: `c${n + i}`, will })),
      );
      // Lost without a DISCONNECT: the server keeps the session and its will.
      for (const client of opened) client?.close();
    }
    for (const client of idle) client.close();
  },
};
