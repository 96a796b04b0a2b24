import { isUtf8 } from 'node:buffer';
import { boundsOf, type EventLog } from '@tailrace/eventlog/event-log';
import { TailraceError } from '@tailrace/protocol/error';
import { isPlainText } from '@tailrace/protocol/text';
import { deadLetterFrom, type StoredDeadLetter } from './dead-letter.ts';

/** Which dead letters are listed. */
export interface ListingOptions {
  readonly topic: string;
  /** Epoch ms; undefined: from the first that the log still has. */
  readonly sinceMs: number | undefined;
  readonly source: string | undefined;
  readonly reason: string | undefined;
  /** The newest of those that match. */
  readonly last: number;
}

type Log = Pick<EventLog, 'bounds' | 'read' | 'positionsAt'>;

/** Characters, or bytes of what is no text, of one payload in a listing. */
const shownMax = 1_000;

/** Resolves with the dead letters, oldest first. Rejects as `EventLog.read` does. */
export async function listDeadLetters(eventLog: Log, options: ListingOptions): Promise<readonly StoredDeadLetter[]> {
  const { topic, sinceMs, source, reason, last } = options;
  const found: StoredDeadLetter[] = [];
  const bounds = await eventLog.bounds(topic);
  for (const partition of bounds.keys()) {
    const { first, next } = boundsOf(bounds, partition);
    const from = sinceMs === undefined ? first : (await eventLog.positionsAt(topic, sinceMs, [partition]))[partition]!;
    for await (const records of eventLog.read(topic, partition, { from, until: next, background: true })) {
      for (const record of records) {
        const letter = deadLetterFrom(record, partition);
        if (letter === undefined || (source !== undefined && letter.source !== source)) continue;
        if (reason !== undefined && letter.reason !== reason) continue;
        found.push(letter);
        if (found.length > 2 * last) found.splice(0, found.length - last);
      }
    }
  }
  return found.slice(-last);
}

/** Resolves with the original bytes of the dead letter at a position. Rejects with `not_found`. */
export async function deadLetterPayload(eventLog: Log, topic: string, seq: number): Promise<Uint8Array> {
  for await (const records of eventLog.read(topic, 0, { from: seq, until: seq + 1, background: true })) {
    const letter = records[0]?.seq === seq ? deadLetterFrom(records[0], 0) : undefined;
    if (letter !== undefined) return letter.payload;
  }
  throw new TailraceError('not_found', `position: expected one of a dead letter in ${topic}, got ${seq}`);
}

/** Returns a dead letter for a person: what is known about it, why it is one, and its payload. */
export function deadLetterText(letter: StoredDeadLetter): string {
  const { reason, message, protocol, source, topic, device, contentType, qos, bytes, receivedMs, seq, node } = letter;
  const facts = [
    topic === undefined ? undefined : `topic ${topic}`,
    device === undefined ? undefined : `device ${device}`,
    contentType,
    qos === undefined ? undefined : `QoS ${qos}`,
    `${bytes} bytes`,
    `node ${node}`,
  ].filter((fact) => fact !== undefined);
  return [
    `${seq}  ${new Date(receivedMs).toISOString()}  ${reason}  ${protocol} ${source}`,
    `  ${facts.join(', ')}`,
    `  ${message}`,
    `  ${payloadText(letter.payload)}`,
    '',
  ].join('\n');
}

/** Returns a dead letter as one line of JSON; a payload that is no text is in base64. */
export function deadLetterJson(letter: StoredDeadLetter): string {
  const { payload, ...rest } = letter;
  const bytes = Buffer.from(payload);
  return JSON.stringify({
    ...rest,
    ...(isUtf8(bytes) ? { text: bytes.toString() } : { base64: bytes.toString('base64') }),
  });
}

function payloadText(payload: Uint8Array): string {
  const bytes = Buffer.from(payload);
  if (bytes.length === 0) return '(no bytes)';
  const text = isUtf8(bytes) ? bytes.toString() : undefined;
  if (text === undefined || !isPlainText(text.replaceAll(/[\t\r\n]/g, ' '))) {
    return `${bytes.toString('hex', 0, shownMax)}${bytes.length > shownMax ? '…' : ''} (hexadecimal)`;
  }
  const shown = text.length > shownMax ? `${text.slice(0, shownMax)}…` : text;
  return shown.replaceAll(/\r?\n/g, '\n  ');
}
