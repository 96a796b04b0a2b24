import type { Logger } from '@tailrace/platform/logger';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Connection, ReceivedMessage } from './connection.ts';
import { busLimits } from './limits.ts';
import type { PendingBytes } from './pending-bytes.ts';
import { assertReply, errorHeader, errorReplyFrom, partHeader, partHeaderOf } from './reply.ts';

export type OnRequest = (
  payload: Uint8Array,
  subject: string,
) => readonly Uint8Array[] | Promise<readonly Uint8Array[]>;

/** The connection that is up, and its count of pending bytes. */
export interface ActiveConnection {
  connection: Connection;
  pending: PendingBytes;
}

/** The replying side of requests. */
export interface Responder {
  /**
   * Computes and sends the reply to one request. Never throws. `active`: returns the connection to reply on, if one is
   * up.
   */
  respond(message: ReceivedMessage, onRequest: OnRequest, active: () => ActiveConnection | undefined): Promise<void>;
}

// Below `pendingBytesMax`, at which `publish` drops, so that replies leave capacity for published messages.
const replyPendingBytesMax = 1024 * 1024;
const nothing = new Uint8Array(0);

export function createResponder(name: string, logger: Logger): Responder {
  let requests = 0;
  let replies = 0;

  async function partsOf(message: ReceivedMessage, onRequest: OnRequest): Promise<readonly Uint8Array[]> {
    if (requests >= busLimits.servingMax) {
      throw new TailraceError(
        'rate_limited',
        `requests in progress on this node: expected at most ${busLimits.servingMax}, got ${requests + 1}`,
      );
    }
    requests++;
    try {
      return await onRequest(message.data, message.subject);
    } finally {
      requests--;
    }
  }

  return {
    async respond(message, onRequest, active) {
      const { reply } = message;
      if (reply === undefined || reply === '') return; // A published message: no requester waits.
      try {
        const parts = await partsOf(message, onRequest);
        const to = active();
        if (to === undefined) return; // The requester's own connection fails, or its deadline expires.
        assertReply(parts, to.connection.payloadBytesMax);
        const id = `${name}-${(replies++).toString(36)}`;
        await sendReply(to, reply, id, parts);
      } catch (thrown) {
        const error = tailraceErrorFrom(thrown);
        if (error.code === 'internal') logger.error({ subject: message.subject, error: thrown }, 'a request failed');
        const to = active();
        if (to === undefined) return;
        const { header, payload } = errorReplyFrom(error);
        to.connection.publish(reply, payload, undefined, { [errorHeader]: header });
        to.pending.add(payload.length);
      }
    },
  };
}

async function sendReply(
  { connection, pending }: ActiveConnection,
  subject: string,
  id: string,
  parts: readonly Uint8Array[],
): Promise<void> {
  const count = Math.max(1, parts.length);
  for (let index = 0; index < count; index++) {
    const part = parts[index] ?? nothing;
    if (pending.bytes > replyPendingBytesMax) await pending.below(replyPendingBytesMax);
    connection.publish(subject, part, undefined, { [partHeader]: partHeaderOf(id, index, parts.length) });
    pending.add(part.length);
  }
}
