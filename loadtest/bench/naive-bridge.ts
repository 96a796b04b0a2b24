/**
 * The bridge that one would write first: MQTT.js, and one `send` of kafkajs for each message, which is acknowledged to
 * the broker when Kafka has it. MQTT.js handles one message after the other.
 */
import { Kafka, logLevel, Partitioners } from 'kafkajs';
import mqtt from 'mqtt';
import { answer, cpuSeconds } from './child.ts';
import { load } from './ingest-load.ts';

const topic = 'naive';
let taken = 0;
let before = 0;

answer({
  start: async ({ broker, url, filter }: { broker: string; url: string; filter: string }) => {
    const kafka = new Kafka({ brokers: [broker], logLevel: logLevel.ERROR });
    const admin = kafka.admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic, numPartitions: load.partitions }] });
    await admin.disconnect();
    const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
    await producer.connect();
    const client = mqtt.connect(url, { protocolVersion: 5, clientId: 'naive', clean: true, keepalive: 300 });
    client.handleMessage = (packet, done) => {
      const message = { key: packet.topic, value: packet.payload };
      producer.send({ topic, messages: [message], acks: -1 }).then(
        () => {
          taken++;
          done();
        },
        (error: Error) => done(error),
      );
    };
    await client.subscribeAsync(filter, { qos: 1 });
    return {};
  },
  startRun: () => {
    before = cpuSeconds();
  },
  /** Answers when so many messages are in Kafka since the start. */
  until: async ({ value }: { value: number }) => {
    while (taken < value) await new Promise((resolve) => setTimeout(resolve, 10));
    return { cpu: cpuSeconds() - before };
  },
});
