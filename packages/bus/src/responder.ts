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

// Below `pendingBytesMax`, at which `publish` drops, so that replies leave capacity for published messages.
const replyPendingBytesMax = 1024 * 1024;
const nothing = new Uint8Array(0);

/** The replying side of requests. */
export class Responder {
  readonly #name: string;
  readonly #logger: Logger;
  /** Requests in progress. */
  #requests = 0;
  #replies = 0;

  /** `name`: of this node, in the IDs of its replies. */
  constructor(name: string, logger: Logger) {
    this.#name = name;
    this.#logger = logger;
  }

  /**
   * Computes and sends the reply to one request. Never rejects. `active`: returns the connection to reply on, if one is
   * up.
   */
  async respond(
    message: ReceivedMessage,
    onRequest: OnRequest,
    active: () => ActiveConnection | undefined,
  ): Promise<void> {
    const { reply, subject } = message;
    if (reply === undefined || reply === '') return; // A published message: no requester waits.
    try {
      const parts = await this.#partsOf(message, onRequest);
      const to = active();
      if (to === undefined) return; // The requester's own connection fails, or its deadline expires.
      assertReply(parts, to.connection.payloadBytesMax);
      const id = `${this.#name}-${(this.#replies++).toString(36)}`;
      await sendReply(to, reply, id, parts);
    } catch (thrown) {
      const error = tailraceErrorFrom(thrown);
      if (error.code === 'internal') this.#logger.error({ subject, error: thrown }, 'a request failed');
      const to = active();
      if (to === undefined) return;
      const { header, payload } = errorReplyFrom(error);
      to.connection.publish(reply, payload, undefined, { [errorHeader]: header });
      to.pending.add(payload.length);
    }
  }

  async #partsOf(message: ReceivedMessage, onRequest: OnRequest): Promise<readonly Uint8Array[]> {
    if (this.#requests >= busLimits.servingMax) {
      throw new TailraceError(
        'rate_limited',
        `requests in progress on this node: expected at most ${busLimits.servingMax}, got ${this.#requests + 1}`,
      );
    }
    this.#requests++;
    try {
      return await onRequest(message.data, message.subject);
    } finally {
      this.#requests--;
    }
  }
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
