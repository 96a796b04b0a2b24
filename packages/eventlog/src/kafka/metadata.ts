/**
 * Requests for topics: Metadata, with the topic ID, which kafkajs does not have, and ListOffsets, with an error per
 * partition.
 */
import { KafkaReader, KafkaWriter } from './bytes.ts';
import { listOffsetsApiKey, metadataApiKey, type WireAnswer, type WireRequest } from './wire.ts';

export interface TopicMetadata {
  readonly name: string;
  readonly errorCode: number;
  /** Assigned by the controller when the topic is created; 32 hexadecimal digits. A re-created topic has another. */
  readonly id: string;
  /** The leader by partition; -1: none. */
  readonly leaders: readonly number[];
  /** By partition: increases with each change of its leader. */
  readonly leaderEpochs: readonly number[];
}

export interface BrokerAddress {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
  /** Null if the broker has none: kafkajs compares it. */
  readonly rack: string | null;
}

export interface MetadataAnswer extends WireAnswer {
  readonly brokers: readonly BrokerAddress[];
  readonly controllerId: number;
  readonly topics: readonly TopicMetadata[];
}

/** The first version of Metadata that has topic IDs (KIP-516, Kafka 2.8). */
export const metadataVersion = 10;
const uuidBytes = 16;

/** Returns a request for the metadata of these topics. The response has all brokers. */
export function metadataRequest(topics: readonly string[]): WireRequest<MetadataAnswer> {
  return {
    request: {
      apiKey: metadataApiKey,
      apiVersion: metadataVersion,
      apiName: 'Metadata',
      async encode() {
        const out = new KafkaWriter();
        out.uvarint(0); // tags of the header, which kafkajs writes without
        out.uvarint(topics.length + 1);
        for (const topic of topics) {
          out.raw(new Uint8Array(uuidBytes)); // by name, not by ID
          out.compactString(topic);
          out.uvarint(0);
        }
        out.int8(0); // never create it
        out.int8(0); // no list of rights
        out.int8(0);
        out.uvarint(0);
        return out;
      },
    },
    response: { decode: async (body) => readMetadata(new KafkaReader(body)), parse: async (answer) => answer },
  };
}

function readMetadata(body: KafkaReader): MetadataAnswer {
  body.skipTags(); // of the header
  const clientSideThrottleTime = body.int32();
  const brokers: BrokerAddress[] = [];
  for (let left = body.uvarint() - 1; left > 0; left--) {
    const nodeId = body.int32();
    const host = body.compactString();
    const port = body.int32();
    brokers.push({ nodeId, host, port, rack: body.compactString() || null });
    body.skipTags();
  }
  body.compactString(); // cluster ID
  const controllerId = body.int32();
  const topics: TopicMetadata[] = [];
  for (let left = body.uvarint() - 1; left > 0; left--) {
    const errorCode = body.int16();
    const name = body.compactString();
    const id = body.view(uuidBytes).toString('hex');
    body.skip(1); // internal
    const leaders: number[] = [];
    const leaderEpochs: number[] = [];
    for (let partitions = body.uvarint() - 1; partitions > 0; partitions--) {
      body.skip(2);
      const partition = body.int32();
      leaders[partition] = body.int32();
      leaderEpochs[partition] = body.int32();
      for (let list = 0; list < 3; list++) body.skip(4 * (body.uvarint() - 1)); // replicas, in sync, offline
      body.skipTags();
    }
    body.skip(4); // rights
    body.skipTags();
    topics.push({ name, errorCode, id, leaders, leaderEpochs });
  }
  return { clientSideThrottleTime, brokers, controllerId, topics };
}

export interface MergedMetadata {
  readonly topic: TopicMetadata;
  /** Whether a leader of `found` is older than the known one. */
  readonly isOutdated: boolean;
}

/**
 * Returns `found` with the leaders of `known` that are newer, if it is of the same topic and `acceptsOlder` is false. A
 * broker that is isolated from the others answers with outdated metadata (KIP-320): the former leader, itself.
 */
export function mergeMetadata(found: TopicMetadata, known: TopicMetadata, acceptsOlder: boolean): MergedMetadata {
  if (known.id !== found.id) return { topic: found, isOutdated: false };
  const leaders = [...found.leaders];
  const leaderEpochs = [...found.leaderEpochs];
  let isOutdated = false;
  for (const [partition, epoch] of known.leaderEpochs.entries()) {
    const foundEpoch = found.leaderEpochs[partition];
    if (foundEpoch === undefined || foundEpoch >= epoch) continue;
    // Unknown: some brokers answer so while there is no leader.
    if (foundEpoch < 0) leaderEpochs[partition] = epoch;
    else {
      isOutdated = true;
      if (acceptsOlder) continue;
      leaders[partition] = known.leaders[partition]!;
      leaderEpochs[partition] = epoch;
    }
  }
  return { topic: { ...found, leaders, leaderEpochs }, isOutdated };
}

/** Instead of a time: the first retained position. */
export const earliest = -2;
/** Instead of a time: the next position. */
export const latest = -1;

export interface OffsetAnswer {
  readonly partition: number;
  readonly errorCode: number;
  /** -1: there is no record of the time or later. */
  readonly seq: number;
}

export interface ListOffsetsAnswer extends WireAnswer {
  readonly partitions: readonly OffsetAnswer[];
}

/**
 * Returns a request (version 4) for the first position with a record time `>= timeMs`, or for `earliest` or `latest`.
 */
export function listOffsetsRequest(
  topic: string,
  partitions: readonly number[],
  timeMs: number,
): WireRequest<ListOffsetsAnswer> {
  return {
    request: {
      apiKey: listOffsetsApiKey,
      apiVersion: 4,
      apiName: 'ListOffsets',
      async encode() {
        const out = new KafkaWriter();
        out.int32(-1);
        out.int8(0); // read uncommitted
        out.int32(1);
        out.string(topic);
        out.int32(partitions.length);
        for (const partition of partitions) {
          out.int32(partition);
          out.int32(-1);
          out.int64(timeMs);
        }
        return out;
      },
    },
    response: {
      async decode(bytes) {
        const body = new KafkaReader(bytes);
        const clientSideThrottleTime = body.int32();
        const answers: OffsetAnswer[] = [];
        for (let topics = body.int32(); topics > 0; topics--) {
          body.string();
          for (let left = body.int32(); left > 0; left--) {
            const partition = body.int32();
            const errorCode = body.int16();
            body.skip(8); // the time found
            answers.push({ partition, errorCode, seq: body.int64() });
            body.skip(4); // leader epoch
          }
        }
        return { clientSideThrottleTime, partitions: answers };
      },
      parse: async (answer) => answer,
    },
  };
}
