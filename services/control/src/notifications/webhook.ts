import { createHmac, randomBytes } from 'node:crypto';
import { TailraceError } from '@tailrace/protocol/error';
import type { AlarmNotice } from './alarm-notice.ts';

/*
 * Signed webhooks as of Standard Webhooks 1.0 (https://www.standardwebhooks.com): three headers, of which the signature
 * covers the ID, the time of the attempt, and the body. Libraries of many languages verify it.
 */

const prefix = 'whsec_';
const secretBytes = 32;
/** Of a secret, as the specification has it. */
const [secretBytesMin, secretBytesMax] = [24, 64];
/** Of a body. Beyond it the other tags are left out, and texts are truncated. */
export const webhookBodyBytesMax = 65_536;
const textCharactersMax = 1_000;

/** Returns a new secret: `whsec_` and 32 random bytes in base64. */
export function newWebhookSecret(): string {
  return `${prefix}${randomBytes(secretBytes).toString('base64')}`;
}

/** Whether the text is `whsec_` and 24 to 64 bytes in base64. */
export function isWebhookSecret(text: string): boolean {
  return keyFrom(text) !== undefined;
}

export interface WebhookRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/**
 * Returns the request of one attempt. `secrets`: the present one first; while it is replaced, the former one signs,
 * too, so that the receiver may change at any time between. `nowMs`: of the attempt, epoch. Throws `internal` for a
 * secret of another form.
 */
export function webhookRequest(notice: AlarmNotice, secrets: readonly string[], nowMs: number): WebhookRequest {
  const body = webhookBody(notice);
  const timestamp = Math.floor(nowMs / 1_000);
  const signatures = secrets.map((secret) => `v1,${signatureOf(secret, notice.id, timestamp, body)}`);
  return {
    body,
    headers: {
      'content-type': 'application/json',
      'webhook-id': notice.id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': signatures.join(' '),
    },
  };
}

/** Returns the HMAC-SHA256 of `id.timestamp.body` in base64. `timestamp`: seconds since 1970. */
export function signatureOf(secret: string, id: string, timestamp: number, body: string): string {
  const key = keyFrom(secret);
  if (key === undefined) {
    throw new TailraceError('internal', `webhook secret: expected ${prefix} and 24 to 64 bytes in base64`);
  }
  return createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
}

function keyFrom(secret: string): Buffer | undefined {
  if (!secret.startsWith(prefix)) return undefined;
  const text = secret.slice(prefix.length);
  const key = Buffer.from(text, 'base64');
  const isWhole = key.toString('base64').replace(/=+$/, '') === text.replace(/=+$/, '');
  return isWhole && key.length >= secretBytesMin && key.length <= secretBytesMax ? key : undefined;
}

/** Returns the body: the type by the cause, the time of the transition, and the transition. */
function webhookBody(notice: AlarmNotice): string {
  const bodyOf = (data: object) =>
    JSON.stringify({
      type: `alarm.${notice.cause ?? 'changed'}`,
      timestamp: new Date(notice.time).toISOString(),
      data,
    });
  const body = bodyOf(notice);
  if (Buffer.byteLength(body) <= webhookBodyBytesMax) return body;
  const { context: _, ...rest } = notice;
  const short = Object.entries(rest).map(([key, value]) => [
    key,
    typeof value === 'string' ? value.slice(0, textCharactersMax) : value,
  ]);
  return bodyOf(Object.fromEntries(short));
}
