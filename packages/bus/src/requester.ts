import type { Clock, Timer } from '@tailrace/platform/clock';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { Connection, ReceivedMessage } from './connection.ts';
import { assertPayload, busLimits } from './limits.ts';
import { createReplyCollector, errorFromReply, errorHeader, partHeader } from './reply.ts';

/**
 * The requesting side: one subscription to the connection's inbox, and one entry for each pending request, found by the
 * last token of the reply subject. A request belongs to one connection: when that is lost, its reply cannot come.
 */
export interface Requester {
  /** Subscribes to a new connection's inbox. */
  attach(connection: Connection): void;
  request(
    connection: Connection,
    subject: string,
    payload: Uint8Array,
    deadlineMs: number,
  ): Promise<readonly Uint8Array[]>;
  /** Rejects every pending request. */
  rejectAll(reason: TailraceError): void;
  /** Rejects the pending requests to a subject to which the server does not allow publishing. */
  rejectSubject(subject: string, error: Error): void;
}

interface PendingRequest {
  subject: string;
  timer: Timer;
  take: ReturnType<typeof createReplyCollector>['take'];
  resolve(parts: readonly Uint8Array[]): void;
  reject(error: TailraceError): void;
}

export function createRequester(clock: Clock): Requester {
  const pending = new Map<string, PendingRequest>();
  let requestsSent = 0;

  function remove(id: string): PendingRequest | undefined {
    const request = pending.get(id);
    pending.delete(id);
    request?.timer.cancel();
    return request;
  }

  function onMessage(id: string, message: ReceivedMessage): void {
    const request = pending.get(id);
    if (request === undefined) return; // Late, or after an error.
    const { headers } = message;
    if (headers?.code === 503) {
      remove(id)?.reject(new TailraceError('unavailable', `no responders for ${shown(request.subject)} at present`));
      return;
    }
    const error = headers?.get(errorHeader) ?? '';
    if (error !== '') {
      remove(id)?.reject(errorFromReply(error, message.data));
      return;
    }
    try {
      const parts = request.take(headers?.get(partHeader) ?? '', message.data);
      if (parts !== undefined) remove(id)?.resolve(parts);
    } catch (thrown) {
      remove(id)?.reject(thrown as TailraceError);
    }
  }

  function rejectAll(reason: TailraceError): void {
    for (const id of [...pending.keys()]) remove(id)?.reject(reason);
  }

  return {
    attach(connection) {
      connection.subscribe(
        `${connection.inbox}*`,
        undefined,
        (message) => onMessage(message.subject.slice(connection.inbox.length), message),
        (error) =>
          rejectAll(
            new TailraceError(
              'forbidden',
              `the NATS user may not subscribe to ${connection.inbox}*, the subject of replies`,
              { cause: error },
            ),
          ),
      );
    },
    request(connection, subject, payload, deadlineMs) {
      assertPayload(payload, connection.payloadBytesMax, subject);
      if (pending.size >= busLimits.requestsMax) {
        throw new TailraceError(
          'limit_reached',
          `pending requests: expected at most ${busLimits.requestsMax}, got ${pending.size + 1}`,
          { retryable: true },
        );
      }
      const id = (requestsSent++).toString(36);
      return new Promise((resolve, reject) => {
        const timer = clock.after(deadlineMs, () => {
          remove(id)?.reject(
            new TailraceError('timeout', `no complete reply from ${shown(subject)} within ${deadlineMs} ms`),
          );
        });
        pending.set(id, { subject, timer, take: createReplyCollector(subject).take, resolve, reject });
        connection.publish(subject, payload, `${connection.inbox}${id}`);
      });
    },
    rejectAll,
    rejectSubject(subject, error) {
      for (const [id, request] of [...pending]) {
        if (request.subject === subject) {
          remove(id)?.reject(
            new TailraceError('forbidden', `the NATS user may not publish to ${shown(subject)}`, { cause: error }),
          );
        }
      }
    },
  };
}
