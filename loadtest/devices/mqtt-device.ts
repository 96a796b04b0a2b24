import { randomUUID } from 'node:crypto';
import { ClientConnection } from '@tailrace/mqtt/client-connection';
import { connectWire } from '@tailrace/mqtt/net-wire';
import type { OutboundMessage } from '@tailrace/mqtt/publish';
import { systemClock } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';
import { mqttTopicFromPath } from '@tailrace/protocol/path';
import {
  idOf,
  type LoadDevice,
  type LoadDeviceHandlers,
  type LoadDeviceOptions,
  type LoadReport,
  readingsOf,
} from './load-device.ts';

/** A device by MQTT 5 at QoS 1, as our own packets have it: a session that ends with its connection. */
export function createMqttDevice(options: LoadDeviceOptions, handlers: LoadDeviceHandlers): LoadDevice {
  const { device, token, readings, hasIds, inFlightMax } = options;
  const { hostname: host, port, protocol } = new URL(options.url);
  const isTls = protocol === 'mqtts:';
  const address = { host, port: Number(port || (isTls ? 8883 : 1883)), ...(isTls ? { tls: {} } : {}) };
  const topic = `${mqttTopicFromPath(device)}/telemetry`;
  const opened = Promise.withResolvers<void>();
  const reportOf = (message: OutboundMessage) => message.context as LoadReport;
  const client = new ClientConnection(
    {
      clock: systemClock,
      random: Math.random,
      dial: (wireHandlers) => connectWire(address, wireHandlers),
      credentials: () => ({ userName: device, password: Buffer.from(token) }),
      version: 5,
      clientId: device,
      cleanStart: true,
      sessionExpirySeconds: 0,
      keepAliveSeconds: 60,
      receiveMaximum: 10,
      packetBytesMax: 262_144,
      topicAliasMaximum: 0,
      unackedMax: inFlightMax,
      subscriptions: [],
      isSubscribed: false,
      newExchangeId: randomUUID,
    },
    {
      publish() {},
      opened() {
        opened.resolve();
        handlers.writable();
      },
      acknowledged(_packetId, message, reason) {
        const code = reason < 0x80 ? undefined : `0x${reason.toString(16)}`;
        handlers.acknowledged(reportOf(message), code);
      },
      lost: (messages) => handlers.lost(messages.map(reportOf)),
      disconnected({ message, isPermanent }) {
        if (isPermanent) opened.reject(new TailraceError('unavailable', `${device}: ${message}`));
        handlers.disconnected();
      },
    },
  );
  return {
    connect() {
      client.start();
      return opened.promise;
    },
    send(report) {
      const { counter } = report;
      const id = hasIds ? { id: idOf(device, counter) } : {};
      const payload = Buffer.from(JSON.stringify({ ...id, readings: readingsOf(counter, readings) }));
      return client.publish({ topic, payload, qos: 1, context: report }) !== undefined;
    },
    close: () => client.stop({ drainMs: 0 }),
  };
}
