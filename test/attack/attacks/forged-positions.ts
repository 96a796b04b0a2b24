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
 * Position tokens that nobody was given: of the beginning of the log, of its middle, ahead of it, of partitions that do
 * not exist, of another epoch. In Mercure an ID that was not found cost a scan of the whole history (issues 1259 and
 * 1382).
 */
export const forgedPositions: Attack = {
  name: 'forged-positions',
  words: '4 sockets resume from positions that they made up, 20 at a time, and come back',
  targets: ['standalone', 'stack'],
  refusals: ['error invalid_position'],
  // Within `catchUpBytesMax` (128 MiB), beside the window: of 512 MB it has to be enough.
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
    while (!context.isOver()) {
      const streams = await Promise.all(Array.from({ length: sockets }, () => AttackStream.open(context)));
      for (const stream of streams) {
        for (let i = 0; i < 2 * forged.length; i++) {
          const after = forged[i % forged.length];
          stream?.send({ subscribe: { id: `p${i}`, channel: 'a.>', after } });
        }
      }
      await context.sleep(pauseMs * 5);
      for (const stream of streams) stream?.cut();
      await context.sleep(pauseMs);
    }
  },
};

/** What a client of this channel is told honestly. */
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
