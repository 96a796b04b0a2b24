import kafkajs from 'kafkajs';

const { Kafka, logLevel, Partitioners } = kafkajs;

/** A record as other programs write it. */
export interface ForeignRecord {
  /** Default: null. */
  readonly key?: string | Buffer | null;
  readonly value: string | Uint8Array | null;
  /** Default: by the client's own partitioner. */
  readonly partition?: number;
}

/** A producer of another program, on a standard Kafka client. */
export interface ForeignProducer {
  /** Sends each record by itself, as a console producer does. */
  send(topic: string, records: readonly ForeignRecord[]): Promise<void>;
  createTopic(topic: string, partitions: number, settings?: Readonly<Record<string, string>>): Promise<void>;
  close(): Promise<void>;
}

export async function startForeignProducer(brokers: readonly string[]): Promise<ForeignProducer> {
  const kafka = new Kafka({ brokers: [...brokers], clientId: 'other-program', logLevel: logLevel.NOTHING });
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  const admin = kafka.admin();
  await Promise.all([producer.connect(), admin.connect()]);
  return {
    async send(topic, records) {
      for (const { key = null, value, partition } of records) {
        const bytes = value instanceof Uint8Array ? Buffer.from(value) : value;
        const message = { key, value: bytes, ...(partition === undefined ? {} : { partition }) };
        await producer.send({ topic, messages: [message], acks: -1 });
      }
    },
    async createTopic(topic, numPartitions, settings = {}) {
      const configEntries = Object.entries(settings).map(([name, value]) => ({ name, value }));
      await admin.createTopics({ topics: [{ topic, numPartitions, configEntries }], waitForLeaders: true });
    },
    async close() {
      await Promise.all([producer.disconnect(), admin.disconnect()]);
    },
  };
}
