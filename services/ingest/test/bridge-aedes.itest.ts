import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { eventually } from '@tailrace/testkit/eventually';
import { Aedes } from 'aedes';
import { bridgesFrom } from '../src/bridge/bridges-file.ts';
import { startIngest } from './ingest-fixture.ts';
import { Publisher } from './mqtt-publisher.ts';

/** A second broker, of MQTT 3.1.1: without shared subscriptions, and without a Receive Maximum. */
async function startAedes() {
  const broker = await Aedes.createBroker();
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    broker.handle(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    port,
    disconnect() {
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      await new Promise<void>((resolve) => broker.close(() => resolve()));
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

test('another broker, of MQTT 3.1.1: each message is in the log, over lost connections and a restart of ingest', async (t) => {
  const broker = await startAedes();
  t.after(() => broker.close());
  const bridges = bridgesFrom(
    JSON.stringify({
      bridges: [
        {
          ...{ name: 'aedes', url: `mqtt://127.0.0.1:${broker.port}`, version: 4, node: 'ingest' },
          publish: ['plant1.>'],
          receiveMaximum: 50,
          subscriptions: [{ filter: 'plant/+', map: { payload: 'json', device: 'plant1.{2}', id: '/id' } }],
        },
      ],
    }),
  );
  const first = await startIngest(t, { bridges });
  const { eventLog } = first;
  const connections = 'tailrace_ingest_bridge_connections{bridge="aedes"';
  await first.metricIs(connections, 1);
  const sender = new Publisher({ host: '127.0.0.1', port: broker.port }, 4);
  t.after(() => sender.stop());
  const expected: string[] = [];
  const send = (count: number) => {
    for (let index = 0; index < count; index++) {
      const id = `a${expected.length}`;
      expected.push(id);
      sender.publish('plant/press7', JSON.stringify({ id, value: index }));
    }
  };
  const release = first.hold();
  send(200);
  await first.metricIs('tailrace_ingest_bridge_window_messages{bridge="aedes"', 50);
  release();
  await sender.done();
  broker.disconnect();
  await first.metricIs('tailrace_ingest_bridge_disconnects_total{bridge="aedes"', 1);
  send(100);
  await first.metricIs(connections, 1);
  await sender.done();
  await first.ingest.drain();
  await first.ingest.stop();
  send(100);
  await sender.done();
  const second = await startIngest(t, { bridges, eventLog });
  await eventually(async () => {
    const ids = (await second.logged()).map(({ id }) => id!);
    assert.deepEqual([...new Set(ids)].sort(), expected.toSorted());
  });
  await second.ingest.drain();
});
