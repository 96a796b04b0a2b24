import { createPositions, positionsFromToken, tokenFromPositions } from '@tailrace/protocol/position';
import type { Attack } from '../attack-definition.ts';
import { postReports, smallReports } from '../attack-post.ts';
import { openRawStream } from '../attack-sockets.ts';
import { AttackStream } from '../attack-stream.ts';

const reports = { full: 50_000, small: 2_000 };
const perRequest = 1_000;
const devices = Array.from({ length: 100 }, (_, i) => `a.d${i}`);
const sockets = 4;
const pauseMs = 100;

/**
 * Forged position tokens: at the start of the log, in its middle, ahead of it, of partitions that do not exist, of
 * another epoch. In Mercure an unknown ID cost a scan of the whole history (issues 1259 and 1382).
 */
export const forgedPositions: Attack = {
  name: 'forged-positions',
  words: '4 sockets resume from forged positions, 20 at a time, and reconnect',
  targets: ['standalone', 'stack'],
  refusals: ['error invalid_position'],
  // Within `catchUpBytesMax` (128 MiB), in addition to the window: 512 MB must be enough.
  heapMb: 512,
  rssGrowthMbMax: 450,
  async prepare(context) {
    for (let n = 0; n < reports[context.size]; n += perRequest) {
      const some = Array.from({ length: perRequest / devices.length }, (_, i) => smallReports(devices, n + i)).flat();
      await postReports(context, some);
    }
  },
  async run(context) {
    const { epoch, lasts } = await ownPositions(context);
    const at = (share: number) =>
      tokenFromPositions(
        createPositions(
          epoch,
          lasts.map(([p, last]) => [p, Math.floor(last * share)]),
        ),
      );
    const forged = [
      at(0),
      at(0.5),
      at(0.9),
      at(1),
      tokenFromPositions(
        createPositions(
          epoch,
          lasts.map(([p, last]) => [p, last + 1_000_000]),
        ),
      ),
      tokenFromPositions(
        createPositions(
          epoch,
          lasts.map(([p]) => [p, Number.MAX_SAFE_INTEGER - 1]),
        ),
      ),
      tokenFromPositions(
        createPositions(
          epoch,
          Array.from({ length: 1_000 }, (_, p) => [p, 0]),
        ),
      ),
      tokenFromPositions(createPositions('another', lasts)),
      tokenFromPositions(createPositions(epoch, [])),
      'AQ',
    ];
    while (!context.isExpired()) {
      const streams = await Promise.all(Array.from({ length: sockets }, () => AttackStream.open(context)));
      for (const stream of streams) {
        for (let i = 0; i < 2 * forged.length; i++) {
          const after = forged[i % forged.length];
          stream?.send({ subscribe: { id: `p${i}`, channel: 'a.>', after } });
        }
      }
      await context.sleep(pauseMs * 5);
      for (const stream of streams) stream?.terminate();
      await context.sleep(pauseMs);
    }
  },
};

/** Returns the real positions of a client of this channel. */
async function ownPositions(context: Parameters<typeof openRawStream>[0]) {
  const stream = await openRawStream(context);
  stream.sendText(JSON.stringify({ subscribe: { id: 'p', channel: 'a.>', snapshot: false } }));
  for (;;) {
    const message = (await stream.nextJson()) as { subscribed?: { position: string } };
    if (message.subscribed === undefined) continue;
    stream.socket.close();
    const positions = positionsFromToken(message.subscribed.position);
    return { epoch: positions.epoch, lasts: positions.entries() };
  }
}
