import { zstdCompressSync } from 'node:zlib';
import kafkajs, { type CompressionTypes as CompressionType } from 'kafkajs';
import { compressFrameSync } from 'lz4-napi';
import { compressSync as snappySync } from 'snappy';

const { CompressionCodecs, CompressionTypes, Kafka, logLevel, Partitioners } = kafkajs;

/** The codecs that kafkajs does not have, added as its documentation describes. */
const codecs: Readonly<Record<number, (bytes: Buffer) => Uint8Array>> = {
  [CompressionTypes.Snappy]: (bytes) => snappySync(bytes) as Buffer,
  [CompressionTypes.LZ4]: (bytes) => compressFrameSync(bytes),
  [CompressionTypes.ZSTD]: (bytes) => zstdCompressSync(bytes),
};

/** A record of another program. */
export interface ForeignRecord {
  /** Null and undefined are the same. */
  readonly key?: string | Buffer | null;
  readonly value: string | Buffer | null;
  /** Default: selected by its own partitioner. */
  readonly partition?: number;
}

export interface ForeignProducer {
  /** Sends one batch per partition. */
  send(topic: string, records: readonly ForeignRecord[], compression?: CompressionType): Promise<void>;
  createTopic(topic: string, partitions: number, settings?: Readonly<Record<string, string>>): Promise<void>;
  close(): Promise<void>;
}

/** Starts another program that writes to the topics, with its own client. */
export async function startForeignProducer(brokers: readonly string[]): Promise<ForeignProducer> {
  for (const [type, compress] of Object.entries(codecs)) {
    const codec = {
      compress: async ({ buffer }: { buffer: Buffer }) => compress(buffer),
      decompress: async () => never,
    };
    Object.assign(CompressionCodecs, { [type]: () => codec });
  }
  const kafka = new Kafka({ brokers: [...brokers], clientId: 'other-program', logLevel: logLevel.NOTHING });
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  const admin = kafka.admin();
  await Promise.all([producer.connect(), admin.connect()]);
  return {
    async send(topic, records, compression = CompressionTypes.None) {
      const messages = records.map(({ key = null, value, partition }) => ({
        key,
        value,
        ...(partition === undefined ? {} : { partition }),
      }));
      await producer.send({ topic, messages, compression, acks: -1 });
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

const never = Buffer.alloc(0);

export { CompressionTypes };
