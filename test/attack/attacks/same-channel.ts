import type { Attack } from '../attack-definition.ts';
import { AttackStream } from '../attack-stream.ts';

const subscriptions = 1_000;
/** About 86 KB per second: 1,000 messages of 50 bytes on each connection. */
const pauseMs = 100;

/** One channel, 1,000 times on a socket, and the same again on the next. */
export const sameChannel: Attack = {
  name: 'same-channel',
  words: 'a client subscribes to one channel 1,000 times on a socket, terminates it, and reconnects',
  targets: ['standalone'],
  refusals: [],
  async run(context) {
    while (!context.isExpired()) {
      const stream = await AttackStream.open(context);
      if (stream === undefined) continue;
      for (let i = 0; i < subscriptions; i++) stream.send({ subscribe: { id: `s${i}`, channel: 'a.device' } });
      await stream.until(context, () => stream.subscribed === subscriptions);
      context.counts.add('subscriptions answered', stream.subscribed);
      stream.terminate();
      await context.sleep(pauseMs);
    }
  },
  expected: ['subscriptions answered'],
};
