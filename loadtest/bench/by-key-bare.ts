/** Without Tailrace: a kafkajs consumer that publishes each record as JSON on a uWebSockets.js topic of its key. */

import { createWebServer } from '@tailrace/fanout/uws-transport';
import { createLogger } from '@tailrace/platform/logger';
import { deliveryJson } from '@tailrace/protocol/report-json';
import { decodeReport } from '@tailrace/protocol/report-proto';
import { dataFrameJson, noFlags } from '@tailrace/protocol/server-message';
import { Kafka, logLevel } from 'kafkajs';
import { answer, cpuSeconds } from './child.ts';
import { telemetryTopic } from './node-options.ts';

interface Client {
  readonly channels: readonly string[];
}

async function start({ broker, flushMs }: { broker: string; flushMs: number }): Promise<object> {
  const logger = createLogger({ service: 'bench', level: 'warn' });
  const server = createWebServer({ host: '127.0.0.1', port: 0, logger });
  server.app.ws<Client>('/v1/stream', {
    maxBackpressure: 4_194_304,
    upgrade: (res, req, context) => {
      const channels = new URLSearchParams(req.getQuery()).getAll('channel');
      const [key, protocol, extensions] = ['key', 'protocol', 'extensions'].map((name) =>
        req.getHeader(`sec-websocket-${name}`),
      );
      res.upgrade({ channels }, key!, protocol!, extensions!, context);
    },
    open: (ws) => {
      for (const channel of ws.getUserData().channels) ws.subscribe(channel);
    },
  });
  const kafka = new Kafka({ brokers: [broker], logLevel: logLevel.ERROR });
  const consumer = kafka.consumer({ groupId: 'bare', minBytes: 1_048_576, maxWaitTimeInMs: flushMs });
  await consumer.connect();
  await consumer.subscribe({ topic: telemetryTopic, fromBeginning: false });
  const joined = new Promise((resolve) => consumer.on('consumer.group_join', resolve));
  await consumer.run({
    autoCommitInterval: 5_000,
    eachBatchAutoResolve: true,
    eachBatch: async ({ batch }) => {
      for (const { key, value, offset } of batch.messages) {
        const json = deliveryJson(decodeReport(value!), batch.partition, Number(offset));
        server.app.publish(String(key), dataFrameJson(1, [json], noFlags));
      }
    },
  });
  await joined;
  return { port: (await server.listen()).port, token: 'none' };
}

answer({ start, cpu: () => ({ cpu: cpuSeconds() }) });
