import type { Logger } from '@tailrace/platform/logger';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { assertAnswer, errorHeader, failureFrom, partHeader, partHeaderOf } from './answer.ts';
import { busLimits } from './limits.ts';
import type { Outgoing } from './outgoing.ts';
import type { Wire, WireMessage } from './wire.ts';

export type OnRequest = (
  payload: Uint8Array,
  subject: string,
) => readonly Uint8Array[] | Promise<readonly Uint8Array[]>;

/** The answering side of requests over a wire. */
export interface Serving {
  /** Works out and sends the answer to one request. Never throws. `present`: the wire to answer on and its count of bytes, if it is up. */
  serve(
    message: WireMessage,
    onRequest: OnRequest,
    present: () => { wire: Wire; outgoing: Outgoing } | undefined,
  ): Promise<void>;
}

// Answers leave the room for what is published meanwhile: they wait at this mark, `publish` drops at `pendingBytesMax`.
const answerPendingBytesMax = 1024 * 1024;
const nothing = new Uint8Array(0);

export function createServing(name: string, logger: Logger): Serving {
  let serving = 0;
  let answers = 0;

  async function answerOf(message: WireMessage, onRequest: OnRequest): Promise<readonly Uint8Array[]> {
    if (serving >= busLimits.servingMax) {
      throw new TailraceError('rate_limited', `this node works on ${serving} requests already`);
    }
    serving++;
    try {
      return await onRequest(message.data, message.subject);
    } finally {
      serving--;
    }
  }

  return {
    async serve(message, onRequest, present) {
      const { reply } = message;
      if (reply === undefined || reply === '') return; // A plain message: nobody waits for an answer.
      try {
        const parts = await answerOf(message, onRequest);
        const here = present();
        if (here === undefined) return; // The asker has been told so by its own link, or will meet its deadline.
        assertAnswer(parts, here.wire.payloadBytesMax);
        const answer = `${name}-${(answers++).toString(36)}`;
        await sendParts(here, reply, answer, parts);
      } catch (thrown) {
        const error = tailraceErrorFrom(thrown);
        if (error.code === 'internal') logger.error({ subject: message.subject, error: thrown }, 'a request failed');
        const here = present();
        if (here === undefined) return;
        const { header, payload } = failureFrom(error);
        here.wire.publish(reply, payload, undefined, { [errorHeader]: header });
        here.outgoing.add(payload.length);
      }
    },
  };
}

async function sendParts(
  { wire, outgoing }: { wire: Wire; outgoing: Outgoing },
  reply: string,
  answer: string,
  parts: readonly Uint8Array[],
): Promise<void> {
  const count = Math.max(1, parts.length);
  for (let index = 0; index < count; index++) {
    const part = parts[index] ?? nothing;
    if (outgoing.pendingBytes > answerPendingBytesMax) await outgoing.below(answerPendingBytesMax);
    wire.publish(reply, part, undefined, { [partHeader]: partHeaderOf(answer, index, parts.length) });
    outgoing.add(part.length);
  }
}
