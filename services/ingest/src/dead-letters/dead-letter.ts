import type { LogRecord, NewRecord } from '@tailrace/eventlog/event-log';
import type { TailraceError } from '@tailrace/protocol/error';
import { PayloadError } from '../payload-error.ts';
import { type DeadLetterReason, deadLetterReasons } from './dead-letter-reason.ts';

/** The protocols whose senders cannot be answered for each message. */
export const deadLetterProtocols = ['bridge', 'mqtt', 'sparkplug'] as const;
export type DeadLetterProtocol = (typeof deadLetterProtocols)[number];

/** A message that was accepted, and that cannot become a report. */
export interface DeadLetter {
  readonly reason: DeadLetterReason;
  /** What was expected, and what came. */
  readonly message: string;
  readonly protocol: DeadLetterProtocol;
  /** Name of the bridge, or path of the device that sent it. */
  readonly source: string;
  /** As received. */
  readonly payload: Uint8Array;
  /** MQTT topic. */
  readonly topic?: string | undefined;
  readonly contentType?: string | undefined;
  readonly qos?: number | undefined;
  /** The device that it was for, where that is known. */
  readonly device?: string | undefined;
}

/** A dead letter as it is read from the log. */
export interface StoredDeadLetter extends Omit<DeadLetter, 'reason' | 'protocol'> {
  /** As `DeadLetterReason`; another text in a record of a newer version. */
  readonly reason: string;
  readonly protocol: string;
  /** Epoch ms of the receipt. */
  readonly receivedMs: number;
  /** The size of the message; more than the payload has if that was truncated. */
  readonly bytes: number;
  readonly node: string;
  readonly partition: number;
  readonly seq: number;
}

/** Bytes of a payload that are kept: a whole MQTT packet of default size. */
export const payloadBytesMax = 262_144;
const messageCharactersMax = 500;
/** Of a topic, in a header. MQTT allows 65,535 bytes. */
const headerCharactersMax = 1_024;

/**
 * Returns the record of a dead letter. Its value has the original bytes, and its headers what is known about them, as
 * Kafka Connect does it: any tool that reads the topic gets the message unchanged. The key is the source.
 * `bytesMax`: of the payload that are kept.
 */
export function deadLetterRecord(
  letter: DeadLetter,
  receivedMs: number,
  node: string,
  bytesMax = payloadBytesMax,
): NewRecord {
  const { reason, message, protocol, source, payload, topic, contentType, qos, device } = letter;
  const headers: Record<string, string> = {
    reason,
    message: headerText(message, messageCharactersMax),
    protocol,
    source: headerText(source, headerCharactersMax),
    receivedMs: String(receivedMs),
    bytes: String(payload.length),
    node,
  };
  if (topic !== undefined) headers['topic'] = headerText(topic, headerCharactersMax);
  if (contentType !== undefined) headers['contentType'] = headerText(contentType, headerCharactersMax);
  if (qos !== undefined) headers['qos'] = String(qos);
  if (device !== undefined) headers['device'] = headerText(device, headerCharactersMax);
  if (payload.length > bytesMax) headers['truncated'] = 'true';
  // A copy: the payload is a view of what a socket has received.
  const value = Uint8Array.prototype.slice.call(payload, 0, bytesMax);
  return { key: headerText(source, headerCharactersMax), value, headers };
}

/** Returns the dead letter of a report that the log does not take by its size, and whose message is not kept. */
export function letterOfRecord(
  { key, value }: Pick<NewRecord, 'key' | 'value'>,
  { protocol, source, message }: Pick<DeadLetter, 'protocol' | 'source' | 'message'>,
): DeadLetter {
  const contentType = 'application/x-protobuf';
  return { reason: 'too_large', message, protocol, source, device: key, payload: value, contentType };
}

/** Returns the dead letter of a record; undefined for one that is none, which another program has written. */
export function deadLetterFrom(record: LogRecord, partition: number): StoredDeadLetter | undefined {
  const { headers = {}, value, seq, unreadable, emptyUntil } = record;
  const {
    reason,
    message = '',
    protocol = '',
    source = record.key,
    topic,
    contentType,
    qos,
    device,
    node = '',
  } = headers;
  if (unreadable !== undefined || emptyUntil !== undefined || reason === undefined) return undefined;
  return {
    ...{ reason, message, protocol, source, payload: value, topic, contentType, device, node, partition, seq },
    qos: qos === undefined ? undefined : Number(qos),
    receivedMs: Number(headers['receivedMs'] ?? record.timeMs),
    bytes: Number(headers['bytes'] ?? value.length),
  };
}

/** Returns the reason of an error that a report or its mapping has thrown. */
export function deadLetterReasonOf(error: TailraceError): DeadLetterReason {
  if (error instanceof PayloadError) return error.reason;
  const { code } = error;
  const isReason = (deadLetterReasons as readonly string[]).includes(code);
  return isReason ? (code as DeadLetterReason) : 'invalid_report';
}

function headerText(text: string, charactersMax: number): string {
  return (text.length <= charactersMax ? text : `${text.slice(0, charactersMax - 1)}…`).toWellFormed();
}
