import type { Clock, Timer } from '@tailrace/platform/clock';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { createAnswerCollector, errorFromFailure, errorHeader, partHeader } from './answer.ts';
import { assertPayload, busLimits } from './limits.ts';
import type { Wire, WireMessage } from './wire.ts';

/**
 * The asker's side of requests over a wire: one subscription to the wire's inbox, one entry for each request under way, found by the last
 * token of the reply subject. A request lives on one wire: when that is lost its answer cannot come any more.
 */
export interface Asking {
  /** Listens on a new wire's inbox. */
  attach(wire: Wire): void;
  ask(wire: Wire, subject: string, payload: Uint8Array, deadlineMs: number): Promise<readonly Uint8Array[]>;
  /** Everybody who waits is told. */
  fail(reason: TailraceError): void;
  /** The server does not allow questions to this subject. */
  refuse(subject: string, error: Error): void;
}

interface Question {
  subject: string;
  timer: Timer;
  take: ReturnType<typeof createAnswerCollector>['take'];
  resolve(parts: readonly Uint8Array[]): void;
  reject(error: TailraceError): void;
}

export function createAsking(clock: Clock): Asking {
  const questions = new Map<string, Question>();
  let asked = 0;

  function end(id: string): Question | undefined {
    const question = questions.get(id);
    questions.delete(id);
    question?.timer.cancel();
    return question;
  }

  function onMessage(id: string, message: WireMessage): void {
    const question = questions.get(id);
    if (question === undefined) return; // Too late, or after a failure: nobody waits any more.
    const { headers } = message;
    if (headers?.code === 503) {
      end(id)?.reject(new TailraceError('unavailable', `nobody serves ${shown(question.subject)} at present`));
      return;
    }
    const failure = headers?.get(errorHeader) ?? '';
    if (failure !== '') {
      end(id)?.reject(errorFromFailure(failure, message.data));
      return;
    }
    try {
      const parts = question.take(headers?.get(partHeader) ?? '', message.data);
      if (parts !== undefined) end(id)?.resolve(parts);
    } catch (error) {
      end(id)?.reject(error as TailraceError);
    }
  }

  return {
    attach(wire) {
      wire.subscribe(
        `${wire.inbox}*`,
        undefined,
        (message) => onMessage(message.subject.slice(wire.inbox.length), message),
        (error) => {
          const refused = new TailraceError(
            'forbidden',
            `the NATS user may not subscribe to ${wire.inbox}*, where answers come`,
            { cause: error },
          );
          for (const id of [...questions.keys()]) end(id)?.reject(refused);
        },
      );
    },
    ask(wire, subject, payload, deadlineMs) {
      assertPayload(payload, wire.payloadBytesMax, subject);
      if (questions.size >= busLimits.requestsMax) {
        throw new TailraceError('limit_reached', `${questions.size} requests wait for an answer already`, {
          retryable: true,
        });
      }
      const id = (asked++).toString(36);
      return new Promise((resolve, reject) => {
        const timer = clock.after(deadlineMs, () => {
          end(id)?.reject(
            new TailraceError('timeout', `no whole answer from ${shown(subject)} within ${deadlineMs} ms`),
          );
        });
        questions.set(id, { subject, timer, take: createAnswerCollector(subject).take, resolve, reject });
        wire.publish(subject, payload, `${wire.inbox}${id}`);
      });
    },
    fail(reason) {
      for (const id of [...questions.keys()]) end(id)?.reject(reason);
    },
    refuse(subject, error) {
      for (const [id, question] of [...questions]) {
        if (question.subject === subject) {
          end(id)?.reject(
            new TailraceError('forbidden', `the NATS user may not publish to ${shown(subject)}`, { cause: error }),
          );
        }
      }
    },
  };
}
