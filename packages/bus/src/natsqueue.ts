import { createHash } from 'node:crypto';
import {
  AckPolicy,
  type Consumer,
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  type JsMsg,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from '@nats-io/jetstream';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { busLimits } from './limits.ts';
import type { Wire, WireTap, WireVerdict } from './wire.ts';

/**
 * Work queues on JetStream. The queue `command` is the stream `tailrace_v1_command` over the subjects `tailrace.v1.command.>`, of which it keeps
 * each message until a worker has acknowledged it. Each pattern that workers ask for is one durable consumer, shared by all its workers.
 */
export interface QueueOptions {
  /** Subjects of a queue are `<prefix>.<queue>.<subject>`. Default `tailrace.v1`. */
  prefix: string;
  /** Of one queue. The server must have that much of JetStream's store free. */
  bytesMax: number;
  /** Work that nobody took for so long is thrown away. */
  ageMsMax: number;
  /** 1 on a single server, 3 on a cluster. */
  replicas: number;
}

const requestTimeoutMs = 5000;
const takeExpiresMs = 30_000;
const takeHeartbeatMs = 5_000;
// Handed out and not settled, over all workers of a pattern.
const unsettledMax = 10_000;

// https://docs.nats.io/using-nats/developer/develop_jetstream/consumers#acknowledging-messages
const done = new TextEncoder().encode('+ACK');
const working = new TextEncoder().encode('+WPI');

// JetStream's error codes, from `errors.json` of nats-server.
const streamExistsDifferently = 10058;
const consumerExistsDifferently = 10148;
const conflicts = new Set([10065, 10099, 10100]);
const storageFull = new Set([10023, 10028, 10047, 10077]);

type Connection = Parameters<typeof jetstream>[0];

/** JetStream counts in ns. */
const nanos = (ms: number) => ms * 1_000_000;

type Queues = Pick<Wire, 'store' | 'tap' | 'settle'>;

export function createQueues(connection: Connection, given: Partial<QueueOptions> = {}): Queues {
  const options: QueueOptions = {
    prefix: 'tailrace.v1',
    bytesMax: busLimits.queueBytesMax,
    ageMsMax: busLimits.queueAgeMs,
    replicas: 1,
    ...given,
  };
  const streams = new Map<string, Promise<void>>();
  let manager: Promise<JetStreamManager> | undefined;

  const streamOf = (queue: string) => `${options.prefix.replaceAll('.', '_')}_${queue}`;
  const subjectOf = (queue: string, subject: string) => `${options.prefix}.${queue}.${subject}`;
  const api = () => (manager ??= jetstreamManager(connection, { checkAPI: false, timeout: requestTimeoutMs }));

  function ensureStream(queue: string): Promise<void> {
    const known = streams.get(queue);
    if (known !== undefined) return known;
    const made = createStream(queue);
    streams.set(queue, made);
    made.catch(() => streams.delete(queue));
    return made;
  }

  async function createStream(queue: string): Promise<void> {
    const name = streamOf(queue);
    const config = {
      name,
      subjects: [subjectOf(queue, '>')],
      retention: RetentionPolicy.Workqueue,
      storage: StorageType.File,
      // Work is refused when the queue is full, never thrown away for newer work.
      discard: DiscardPolicy.New,
      max_bytes: options.bytesMax,
      max_age: nanos(options.ageMsMax),
      duplicate_window: nanos(Math.min(busLimits.queueDuplicateMs, options.ageMsMax)),
      num_replicas: options.replicas,
    };
    const { streams } = await api();
    try {
      await streams.add(config);
    } catch (error) {
      if (!(error instanceof JetStreamApiError && error.code === streamExistsDifferently)) throw error;
      // An earlier version, or the operator, had other bounds.
      await streams.update(name, {
        max_bytes: config.max_bytes,
        max_age: config.max_age,
        num_replicas: config.num_replicas,
      });
    }
  }

  async function openConsumer(queue: string, pattern: string, retryMs: number): Promise<Consumer> {
    const stream = streamOf(queue);
    const config = {
      // A pattern has characters that a name may not have.
      durable_name: `worker-${createHash('sha256').update(pattern).digest('hex').slice(0, 16)}`,
      description: `work on ${pattern}`,
      filter_subject: subjectOf(queue, pattern),
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(retryMs),
      max_ack_pending: unsettledMax,
      // One that no worker has asked for in so long has lost all its work to age anyway.
      inactive_threshold: nanos(options.ageMsMax),
    };
    const { consumers } = await api();
    try {
      await consumers.add(stream, config);
    } catch (error) {
      if (!(error instanceof JetStreamApiError && error.code === consumerExistsDifferently)) throw error;
      await consumers.update(stream, config.durable_name, {
        ack_wait: config.ack_wait,
        inactive_threshold: config.inactive_threshold,
      });
    }
    return jetstream(connection, { timeout: requestTimeoutMs }).consumers.get(stream, config.durable_name);
  }

  return {
    async store(queue, subject, payload, id) {
      const put = async () => {
        await ensureStream(queue);
        await jetstream(connection, { timeout: requestTimeoutMs }).publish(subjectOf(queue, subject), payload, {
          msgID: id,
        });
      };
      try {
        await put();
      } catch (error) {
        if (!(isNotEnabled(error) && streams.delete(queue))) throw queueError(queue, error);
        // Nobody took it: the stream that was there has been removed since.
        await put().catch((again) => {
          throw queueError(queue, again);
        });
      }
    },
    async tap(queue, pattern, retryMs) {
      try {
        await ensureStream(queue);
        return tapOf(await openConsumer(queue, pattern, retryMs), `${options.prefix}.${queue}.`.length, queue);
      } catch (error) {
        streams.delete(queue);
        throw queueError(queue, error);
      }
    },
    settle(receipt, verdict) {
      if (!connection.isClosed()) connection.publish(receipt, verdictBytes(verdict));
    },
  };
}

function verdictBytes(verdict: WireVerdict): Uint8Array {
  switch (verdict.kind) {
    case 'done':
      return done;
    case 'working':
      return working;
    case 'retry':
      return new TextEncoder().encode(`-NAK ${JSON.stringify({ delay: nanos(verdict.afterMs) })}`);
  }
}

function tapOf(consumer: Consumer, prefixLength: number, queue: string): WireTap {
  let stopTaking: (() => void) | undefined;
  let stopped = false;
  return {
    async take(count, onItem) {
      if (stopped) return;
      try {
        const messages = await consumer.fetch({
          max_messages: count,
          expires: takeExpiresMs,
          idle_heartbeat: takeHeartbeatMs,
        });
        stopTaking = () => messages.stop();
        if (stopped) messages.stop();
        for await (const message of messages) {
          onItem({
            subject: message.subject.slice(prefixLength),
            payload: message.data,
            // A stream that is made anew counts from 1 again, at another time.
            key: `${message.seq} ${message.info.timestampNanos}`,
            receipt: receiptOf(message),
          });
        }
      } catch (error) {
        throw queueError(queue, error);
      }
    },
    stop() {
      stopped = true;
      stopTaking?.();
    },
  };
}

/** The subject of the acknowledgement. The class has it, the interface does not: it acknowledges only on the connection of the message. */
function receiptOf(message: JsMsg): string {
  return (message as JsMsg & { reply: string }).reply;
}

/** Nobody answered for JetStream. The library does not export the class. */
function isNotEnabled(error: unknown): boolean {
  return error instanceof Error && error.name === 'JetStreamNotEnabled';
}

function queueError(queue: string, error: unknown): TailraceError {
  if (error instanceof TailraceError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  const options = { cause: error };
  if (isNotEnabled(error)) {
    return new TailraceError(
      'unavailable',
      `the queue ${shown(queue)} needs JetStream, which the NATS server does not offer: start it with -js`,
      options,
    );
  }
  if (error instanceof JetStreamApiError && conflicts.has(error.code)) {
    return new TailraceError(
      'conflict',
      `the queue ${shown(queue)} is used differently already (${reason}): patterns of one queue are equal or disjoint`,
      options,
    );
  }
  if (error instanceof JetStreamApiError && storageFull.has(error.code)) {
    return new TailraceError('storage_full', `the queue ${shown(queue)} is full (${reason})`, options);
  }
  if (error instanceof Error && error.name === 'TimeoutError') {
    return new TailraceError(
      'timeout',
      `the queue ${shown(queue)} did not answer within ${requestTimeoutMs} ms`,
      options,
    );
  }
  return new TailraceError('unavailable', `the queue ${shown(queue)} cannot be reached (${reason})`, options);
}
