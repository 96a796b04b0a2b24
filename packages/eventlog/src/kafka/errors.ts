import { tlsFaultOf } from '@tailrace/platform/tls-error';
import { type ErrorCode, isTailraceError, shown, TailraceError } from '@tailrace/protocol/error';

/** What an error code of Kafka means here (https://kafka.apache.org/protocol.html#protocol_error_codes). */
interface Refusal {
  readonly name: string;
  readonly code: ErrorCode;
  /** Worth the same request again, maybe to another broker. */
  readonly again: boolean;
  readonly advice: string;
}

const passing = (name: string, advice = 'it passes by itself'): Refusal => ({
  name,
  code: 'unavailable',
  again: true,
  advice,
});
const final = (name: string, code: ErrorCode, advice: string): Refusal => ({ name, code, again: false, advice });
const allowIt = 'give the user of this client the right to it in the ACLs of Kafka';

export const kafkaCode = {
  offsetOutOfRange: 1,
  unknownTopic: 3,
  messageTooLarge: 10,
  recordListTooLarge: 18,
  outOfOrderSequence: 45,
  invalidProducerEpoch: 47,
  unknownProducer: 59,
} as const;

const refusals = new Map<number, Refusal>([
  [1, final('OFFSET_OUT_OF_RANGE', 'not_found', 'read from within the bounds of the partition')],
  [2, passing('CORRUPT_MESSAGE')],
  [3, final('UNKNOWN_TOPIC_OR_PARTITION', 'not_found', 'create the topic first')],
  [5, passing('LEADER_NOT_AVAILABLE')],
  [6, passing('NOT_LEADER_OR_FOLLOWER')],
  [7, passing('REQUEST_TIMED_OUT')],
  [9, passing('REPLICA_NOT_AVAILABLE')],
  [10, final('MESSAGE_TOO_LARGE', 'too_large', 'raise max.message.bytes of the topic, or send less in one record')],
  [13, passing('NETWORK_EXCEPTION')],
  [17, final('INVALID_TOPIC_EXCEPTION', 'invalid_config', 'use letters, digits, ".", "_" and "-" in its name')],
  [18, final('RECORD_LIST_TOO_LARGE', 'too_large', 'raise segment.bytes of the topic, or send less in one record')],
  [19, passing('NOT_ENOUGH_REPLICAS', 'start the missing brokers, or lower min.insync.replicas')],
  [20, passing('NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'start the missing brokers, or lower min.insync.replicas')],
  [29, final('TOPIC_AUTHORIZATION_FAILED', 'forbidden', allowIt)],
  [30, final('GROUP_AUTHORIZATION_FAILED', 'forbidden', allowIt)],
  [31, final('CLUSTER_AUTHORIZATION_FAILED', 'forbidden', allowIt)],
  [32, final('INVALID_TIMESTAMP', 'invalid_config', 'check the clocks, and message.timestamp.* of the topic')],
  [35, final('UNSUPPORTED_VERSION', 'invalid_config', 'use Kafka 3.0 or newer')],
  [45, passing('OUT_OF_ORDER_SEQUENCE_NUMBER')],
  [47, passing('INVALID_PRODUCER_EPOCH')],
  [56, { ...passing('KAFKA_STORAGE_ERROR', 'look for a full or broken disk on the broker'), code: 'storage_full' }],
  [59, passing('UNKNOWN_PRODUCER_ID')],
  [74, passing('FENCED_LEADER_EPOCH')],
  [75, passing('UNKNOWN_LEADER_EPOCH')],
  [76, final('UNSUPPORTED_COMPRESSION_TYPE', 'invalid_config', 'set another compression')],
  [78, passing('OFFSET_NOT_AVAILABLE')],
  [87, final('INVALID_RECORD', 'internal', 'the broker does not take the record; a compacted topic needs keys')],
  [89, passing('THROTTLING_QUOTA_EXCEEDED', 'raise the quota of this client in Kafka')],
  [100, final('UNKNOWN_TOPIC_ID', 'not_found', 'the topic was deleted')],
]);

function refusalOf(code: number): Refusal {
  return (
    refusals.get(code) ?? { name: `error ${code}`, code: 'internal', again: false, advice: 'see the broker’s log' }
  );
}

/** Whether the same request may succeed a moment later, maybe at another broker. */
export function mayPass(code: number): boolean {
  return refusalOf(code).again;
}

/** An error code in an answer of the broker, as our error. `doing`: "append to topic x". */
export function refusedError(code: number, doing: string): TailraceError {
  const refusal = refusalOf(code);
  return new TailraceError(refusal.code, `cannot ${doing}: Kafka answered ${refusal.name}; ${refusal.advice}`);
}

/** The type of a protocol error that kafkajs threw, also where it wrapped it, e.g. `UNKNOWN_MEMBER_ID`. */
export function kafkajsTypeOf(thrown: unknown): string | undefined {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    const type = (error as { type?: unknown }).type;
    if (typeof type === 'string') return type;
    const nested = (error as { errors?: unknown }).errors;
    if (Array.isArray(nested) && nested.length > 0) return kafkajsTypeOf(nested[0]);
  }
  return undefined;
}

const codeByType: Readonly<Record<string, ErrorCode>> = {
  UNKNOWN_TOPIC_OR_PARTITION: 'not_found',
  TOPIC_AUTHORIZATION_FAILED: 'forbidden',
  GROUP_AUTHORIZATION_FAILED: 'forbidden',
  CLUSTER_AUTHORIZATION_FAILED: 'forbidden',
  SASL_AUTHENTICATION_FAILED: 'unauthorized',
  ILLEGAL_SASL_STATE: 'invalid_config',
  UNSUPPORTED_SASL_MECHANISM: 'invalid_config',
  INVALID_TOPIC_EXCEPTION: 'invalid_config',
  INVALID_REPLICATION_FACTOR: 'invalid_config',
  INVALID_PARTITIONS: 'invalid_config',
  INVALID_CONFIG: 'invalid_config',
  POLICY_VIOLATION: 'invalid_config',
  INCONSISTENT_GROUP_PROTOCOL: 'invalid_config',
  GROUP_MAX_SIZE_REACHED: 'limit_reached',
  KAFKA_STORAGE_ERROR: 'storage_full',
};

/**
 * Errors of kafkajs that no second attempt helps. Everything else that it throws is the network's or the cluster's
 * state.
 */
const finalNames: Readonly<Record<string, ErrorCode>> = {
  KafkaJSSASLAuthenticationError: 'unauthorized',
  KafkaJSNotImplemented: 'internal',
  KafkaJSServerDoesNotSupportApiKey: 'invalid_config',
  TypeError: 'internal',
  RangeError: 'internal',
};

/**
 * Anything that kafkajs throws, as our error; one line with the brokers' addresses. `doing`: "join group x".
 */
export function kafkaErrorFrom(thrown: unknown, doing: string, addresses: readonly string[]): TailraceError {
  if (isTailraceError(thrown)) return thrown;
  const type = kafkajsTypeOf(thrown);
  const root = rootOf(thrown);
  const code = (type === undefined ? undefined : codeByType[type]) ?? finalNames[root.name] ?? 'unavailable';
  const reason = type === undefined ? root.message : `${type}: ${root.message}`;
  const { broker } = root as { broker?: unknown };
  const at = `Kafka at ${typeof broker === 'string' ? broker : addresses.join(', ')}`;
  if (code === 'unavailable')
    return new TailraceError(code, `cannot ${doing}: ${unreachableMessage(at, reason, root)}`, { cause: thrown });
  return new TailraceError(code, `cannot ${doing}: ${at} answered ${reason}${loginAdvice(code, type)}`, {
    cause: thrown,
  });
}

/** Why no answer came, as far as it is known. TLS may be corrected on the other side: another attempt may succeed. */
function unreachableMessage(at: string, reason: string, root: Error): string {
  const tlsFault = tlsFaultOf(root, 'kafka');
  if (tlsFault !== undefined) return `no connection to ${at} over TLS: ${tlsFault}`;
  if (root.name === 'KafkaJSConnectionClosedError')
    return `${at} hung up without an answer; check that kafkaTls and kafkaSaslMechanism are what this listener asks for`;
  // Over TLS 1.3 the handshake is over for us when the broker checks our certificate: the end of the connection may
  // overtake its answer.
  if (/ECONNRESET|EPIPE/.test(reason))
    return `${at} hung up (${reason}); where it asks for certificates, check kafkaTlsCertFile and kafkaTlsKeyFile`;
  return `no answer from ${at} (${reason}); check that it runs, and the address`;
}

function loginAdvice(code: ErrorCode, type: string | undefined): string {
  if (type === 'ILLEGAL_SASL_STATE') return '; this listener takes no login: leave kafkaSaslMechanism empty';
  if (type === 'UNSUPPORTED_SASL_MECHANISM') return '; set kafkaSaslMechanism to one that it has';
  return code === 'unauthorized' ? '; check kafkaSaslUsername, kafkaSaslPassword and kafkaSaslMechanism' : '';
}

function rootOf(thrown: unknown): Error {
  if (!(thrown instanceof Error)) return new TailraceError('internal', shown(thrown));
  let error = thrown;
  // kafkajs wraps into "number of retries exceeded" and the like; what was wrong lies at the bottom.
  for (let depth = 0; depth < 8 && error.cause instanceof Error; depth++) error = error.cause;
  return error;
}
