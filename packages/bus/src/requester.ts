import type { Clock, Timer } from '@tailrace/platform/clock';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { Connection, ReceivedMessage } from './connection.ts';
import { assertPayload, busLimits } from './limits.ts';
import { errorFromReply, errorHeader, partHeader, ReplyCollector } from './reply.ts';

interface PendingRequest {
  subject: string;
  timer: Timer;
  collector: ReplyCollector;
  resolve(parts: readonly Uint8Array[]): void;
  reject(error: TailraceError): void;
}

/**
 * The requesting side: one subscription to the connection's inbox, and one entry for each pending request, found by the
 * last token of the reply subject. A request belongs to one connection: when that is lost, its reply cannot come.
 */
export class Requester {
  readonly #clock: Clock;
  readonly #pending = new Map<string, PendingRequest>();
  #requestsSent = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Subscribes to a new connection's inbox. */
  attach(connection: Connection): void {
    const { inbox } = connection;
    connection.subscribe(
      `${inbox}*`,
      undefined,
      (message) => this.#onMessage(message.subject.slice(inbox.length), message),
      (cause) => {
        const message = `the NATS user may not subscribe to ${inbox}*, the subject of replies`;
        this.rejectAll(new TailraceError('forbidden', message, { cause }));
      },
    );
  }

  request(
    connection: Connection,
    subject: string,
    payload: Uint8Array,
    deadlineMs: number,
  ): Promise<readonly Uint8Array[]> {
    assertPayload(payload, connection.payloadBytesMax, subject);
    if (this.#pending.size >= busLimits.requestsMax) {
      throw new TailraceError(
        'limit_reached',
        `pending requests: expected at most ${busLimits.requestsMax}, got ${this.#pending.size + 1}`,
        { retryable: true },
      );
    }
    const id = (this.#requestsSent++).toString(36);
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(deadlineMs, () => {
        const message = `no complete reply from ${shown(subject)} within ${deadlineMs} ms`;
        this.#remove(id)?.reject(new TailraceError('timeout', message));
      });
      this.#pending.set(id, { subject, timer, collector: new ReplyCollector(subject), resolve, reject });
      connection.publish(subject, payload, `${connection.inbox}${id}`);
    });
  }

  /** Rejects every pending request. */
  rejectAll(reason: TailraceError): void {
    for (const id of [...this.#pending.keys()]) this.#remove(id)?.reject(reason);
  }

  /** Rejects the pending requests to a subject to which the server does not allow publishing. */
  rejectSubject(subject: string, cause: Error): void {
    for (const [id, request] of [...this.#pending]) {
      if (request.subject !== subject) continue;
      const message = `the NATS user may not publish to ${shown(subject)}`;
      this.#remove(id)?.reject(new TailraceError('forbidden', message, { cause }));
    }
  }

  #remove(id: string): PendingRequest | undefined {
    const request = this.#pending.get(id);
    this.#pending.delete(id);
    request?.timer.cancel();
    return request;
  }

  #onMessage(id: string, message: ReceivedMessage): void {
    const request = this.#pending.get(id);
    if (request === undefined) return; // Late, or after an error.
    const { headers } = message;
    if (headers?.code === 503) {
      const noResponders = `no responders for ${shown(request.subject)} at present`;
      this.#remove(id)?.reject(new TailraceError('unavailable', noResponders));
      return;
    }
    const error = headers?.get(errorHeader) ?? '';
    if (error !== '') {
      this.#remove(id)?.reject(errorFromReply(error, message.data));
      return;
    }
    try {
      const parts = request.collector.take(headers?.get(partHeader) ?? '', message.data);
      if (parts !== undefined) this.#remove(id)?.resolve(parts);
    } catch (thrown) {
      this.#remove(id)?.reject(thrown as TailraceError);
    }
  }
}
