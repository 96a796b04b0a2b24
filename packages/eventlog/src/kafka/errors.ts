import { tlsErrorTextOf } from '@tailrace/platform/tls-error';
import { type ErrorCode, isTailraceError, shown, TailraceError } from '@tailrace/protocol/error';

/** An error code of Kafka (https://kafka.apache.org/protocol.html#protocol_error_codes), and its error here. */
interface KafkaErrorCode {
  readonly name: string;
  readonly code: ErrorCode;
  /** Whether the same request may succeed later, possibly at another broker. */
  readonly isRetriable: boolean;
  readonly advice: string;
}

const retriable = (name: string, advice = 'it is temporary'): KafkaErrorCode => ({
  name,
  code: 'unavailable',
  isRetriable: true,
  advice,
});
const notRetriable = (name: string, code: ErrorCode, advice: string): KafkaErrorCode => ({
  name,
  code,
  isRetriable: false,
  advice,
});
const grantAdvice = 'grant the right to the user of this client in the ACLs of Kafka';

export const kafkaCode = {
  offsetOutOfRange: 1,
  unknownTopic: 3,
  messageTooLarge: 10,
  recordListTooLarge: 18,
  outOfOrderSequence: 45,
  invalidProducerEpoch: 47,
  unknownProducer: 59,
} as const;

const errorCodes = new Map<number, KafkaErrorCode>([
  [1, notRetriable('OFFSET_OUT_OF_RANGE', 'not_found', 'read from within the bounds of the partition')],
  [2, retriable('CORRUPT_MESSAGE')],
  [3, notRetriable('UNKNOWN_TOPIC_OR_PARTITION', 'not_found', 'create the topic first')],
  [5, retriable('LEADER_NOT_AVAILABLE')],
  [6, retriable('NOT_LEADER_OR_FOLLOWER')],
  [7, retriable('REQUEST_TIMED_OUT')],
  [9, retriable('REPLICA_NOT_AVAILABLE')],
  [
    10,
    notRetriable('MESSAGE_TOO_LARGE', 'too_large', 'raise max.message.bytes of the topic, or send less in one record'),
  ],
  [13, retriable('NETWORK_EXCEPTION')],
  [17, notRetriable('INVALID_TOPIC_EXCEPTION', 'invalid_config', 'use letters, digits, ".", "_" and "-" in its name')],
  [
    18,
    notRetriable('RECORD_LIST_TOO_LARGE', 'too_large', 'raise segment.bytes of the topic, or send less in one record'),
  ],
  [19, retriable('NOT_ENOUGH_REPLICAS', 'start the missing brokers, or lower min.insync.replicas')],
  [20, retriable('NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'start the missing brokers, or lower min.insync.replicas')],
  [29, notRetriable('TOPIC_AUTHORIZATION_FAILED', 'forbidden', grantAdvice)],
  [30, notRetriable('GROUP_AUTHORIZATION_FAILED', 'forbidden', grantAdvice)],
  [31, notRetriable('CLUSTER_AUTHORIZATION_FAILED', 'forbidden', grantAdvice)],
  [32, notRetriable('INVALID_TIMESTAMP', 'invalid_config', 'check the clocks, and message.timestamp.* of the topic')],
  [35, notRetriable('UNSUPPORTED_VERSION', 'invalid_config', 'use Kafka 3.0 or newer')],
  [45, retriable('OUT_OF_ORDER_SEQUENCE_NUMBER')],
  [47, retriable('INVALID_PRODUCER_EPOCH')],
  [56, { ...retriable('KAFKA_STORAGE_ERROR', 'check the broker for a full or broken disk'), code: 'storage_full' }],
  [59, retriable('UNKNOWN_PRODUCER_ID')],
  [74, retriable('FENCED_LEADER_EPOCH')],
  [75, retriable('UNKNOWN_LEADER_EPOCH')],
  [76, notRetriable('UNSUPPORTED_COMPRESSION_TYPE', 'invalid_config', 'set another compression')],
  [78, retriable('OFFSET_NOT_AVAILABLE')],
  [
    87,
    notRetriable('INVALID_RECORD', 'internal', 'the broker does not accept the record; a compacted topic needs keys'),
  ],
  [89, retriable('THROTTLING_QUOTA_EXCEEDED', 'raise the quota of this client in Kafka')],
  [100, notRetriable('UNKNOWN_TOPIC_ID', 'not_found', 'the topic was deleted')],
]);

function errorCodeOf(code: number): KafkaErrorCode {
  return (
    errorCodes.get(code) ?? {
      name: `error ${code}`,
      code: 'internal',
      isRetriable: false,
      advice: 'see the log of the broker',
    }
  );
}

/** Returns whether the same request may succeed later, possibly at another broker. */
export function isRetriable(code: number): boolean {
  return errorCodeOf(code).isRetriable;
}

/** Returns the error for an error code of a broker. `operation`: such as "append to topic x". */
export function errorFromCode(code: number, operation: string): TailraceError {
  const known = errorCodeOf(code);
  return new TailraceError(known.code, `cannot ${operation}: Kafka answered ${known.name}; ${known.advice}`);
}

/** Returns the type of a protocol error of kafkajs, also of a wrapped one, such as `UNKNOWN_MEMBER_ID`. */
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

/** Errors of kafkajs that are not retriable. All others depend on the state of the network or cluster. */
const notRetriableNames: Readonly<Record<string, ErrorCode>> = {
  KafkaJSSASLAuthenticationError: 'unauthorized',
  KafkaJSNotImplemented: 'internal',
  KafkaJSServerDoesNotSupportApiKey: 'invalid_config',
  TypeError: 'internal',
  RangeError: 'internal',
};

/**
 * Returns an error of kafkajs as a TailraceError, in one line with the addresses. `operation`: such as "join group x".
 */
export function kafkaErrorFrom(thrown: unknown, operation: string, addresses: readonly string[]): TailraceError {
  if (isTailraceError(thrown)) return thrown;
  const type = kafkajsTypeOf(thrown);
  const root = rootOf(thrown);
  const code = (type === undefined ? undefined : codeByType[type]) ?? notRetriableNames[root.name] ?? 'unavailable';
  const reason = type === undefined ? root.message : `${type}: ${root.message}`;
  const { broker } = root as { broker?: unknown };
  const at = `Kafka at ${typeof broker === 'string' ? broker : addresses.join(', ')}`;
  if (code === 'unavailable')
    return new TailraceError(code, `cannot ${operation}: ${unreachableMessage(at, reason, root)}`, { cause: thrown });
  return new TailraceError(code, `cannot ${operation}: ${at} answered ${reason}${credentialsAdvice(code, type)}`, {
    cause: thrown,
  });
}

/** Returns why a broker has not answered, as far as known. TLS may be corrected at the broker: retries may succeed. */
function unreachableMessage(at: string, reason: string, root: Error): string {
  const tlsError = tlsErrorTextOf(root, 'kafka');
  if (tlsError !== undefined) return `no connection to ${at} over TLS: ${tlsError}`;
  if (root.name === 'KafkaJSConnectionClosedError')
    return `${at} closed the connection without an answer; check that kafkaTls and kafkaSaslMechanism are those of this listener`;
  // With TLS 1.3 the broker checks the certificate after the handshake of the client: the connection may close before
  // its alert is received.
  if (/ECONNRESET|EPIPE/.test(reason))
    return `${at} closed the connection (${reason}); if it requires certificates, check kafkaTlsCertFile and kafkaTlsKeyFile`;
  return `no answer from ${at} (${reason}); check that it runs, and the address`;
}

function credentialsAdvice(code: ErrorCode, type: string | undefined): string {
  if (type === 'ILLEGAL_SASL_STATE') return '; this listener accepts no login: leave kafkaSaslMechanism empty';
  if (type === 'UNSUPPORTED_SASL_MECHANISM') return '; set kafkaSaslMechanism to one that it supports';
  return code === 'unauthorized' ? '; check kafkaSaslUsername, kafkaSaslPassword and kafkaSaslMechanism' : '';
}

function rootOf(thrown: unknown): Error {
  if (!(thrown instanceof Error)) return new TailraceError('internal', shown(thrown));
  let error = thrown;
  // kafkajs wraps errors into "number of retries exceeded" and the like: the cause is the innermost one.
  for (let depth = 0; depth < 8 && error.cause instanceof Error; depth++) error = error.cause;
  return error;
}
