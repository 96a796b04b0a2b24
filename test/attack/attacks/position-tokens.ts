import { positionsFromToken } from '@tailrace/protocol/position';
import type { Attack } from '../attack-definition.ts';
import { openRawStream } from '../attack-sockets.ts';

/**
 * A position token reveals the end of each partition, so the number of records of others, and nothing else. SECURITY.md
 * has why that is accepted.
 */
export const positionTokens: Attack = {
  name: 'position-tokens',
  words: 'a token for a.> compares the position tokens of its own empty channel',
  targets: ['standalone', 'stack'],
  refusals: [],
  expected: ['records of others, counted by their positions'],
  forbidden: ['more than positions'],
  async run(context) {
    const { counts } = context;
    const stream = await openRawStream(context);
    let before = -1;
    for (let n = 0; !context.isExpired(); n++) {
      stream.sendText(JSON.stringify({ subscribe: { id: `p${n}`, channel: 'a.empty', snapshot: false } }));
      const token = await subscribedPosition(stream);
      const positions = positionsFromToken(token);
      const sum = positions.entries().reduce((total, [, last]) => total + last + 1, 0);
      if (before >= 0) counts.add('records of others, counted by their positions', Math.max(0, sum - before));
      before = sum;
      // It has the epoch and a number for each partition, and nothing else.
      if (/b\.|line|quiet|device/.test(Buffer.from(token, 'base64url').toString('latin1')))
        counts.add('more than positions');
      stream.sendText(JSON.stringify({ unsubscribe: { id: `p${n}` } }));
      await context.sleep(200);
    }
    stream.socket.close();
  },
};

async function subscribedPosition(stream: { nextJson(): Promise<unknown> }): Promise<string> {
  for (;;) {
    const { subscribed } = (await stream.nextJson()) as { subscribed?: { position: string } };
    if (subscribed !== undefined) return subscribed.position;
  }
}
