/** Clients that are disconnected again and again, and resume from their position. */
import { type Positions, positionsFromToken, tokenFromPositions } from '@tailrace/protocol/position';
import { DeliveryChecker, MissingRanges } from '../../test/delivery-checker.ts';
import { answer } from './child.ts';
import { deviceName } from './node-options.ts';
import { openWsClient, type WsClient } from './ws-client.ts';

interface Resumer {
  readonly device: string;
  client: WsClient | undefined;
  positions: Positions | undefined;
  readonly deliveries: DeliveryChecker;
  /** When the connection in progress was started; undefined once the backlog has arrived. */
  startedMs: number | undefined;
}

const resumers: Resumer[] = [];
const counted = { reports: 0, gaps: 0, repeats: 0, failures: 0 };
const replaysMs: number[] = [];
let at = { port: 0, token: '' };

interface Message {
  readonly subscribed?: { readonly position: string };
  readonly data?: {
    readonly snapshot?: boolean;
    readonly reports: readonly {
      readonly partition: number;
      readonly seq: number;
      readonly readings: readonly { readonly value: number }[];
    }[];
  };
}

function createChecker(device: string): DeliveryChecker {
  return new DeliveryChecker({
    onFinding: (finding, count) => {
      if (finding === 'lost') counted.gaps += count;
      else counted.repeats += count;
    },
    nameOf: () => device,
    isRepeatAnError: true,
    counters: { missing: new MissingRanges(), takesBackLost: false },
  });
}

function take(resumer: Resumer, message: Message): void {
  if (message.subscribed !== undefined) {
    resumer.positions = positionsFromToken(message.subscribed.position);
    return;
  }
  if (message.data === undefined || message.data.snapshot === true) return;
  for (const { partition, seq, readings } of message.data.reports) {
    resumer.positions?.advance(partition, seq);
    // The device counts from 0.
    resumer.deliveries.deliver(0, partition, seq, readings[0]!.value + 1, false);
    counted.reports++;
  }
  if (resumer.startedMs === undefined) return;
  replaysMs.push(performance.now() - resumer.startedMs);
  resumer.startedMs = undefined;
}

async function connect(resumer: Resumer): Promise<void> {
  const back = resumer.positions !== undefined;
  if (back) resumer.startedMs = performance.now();
  const client = await openWsClient({
    port: at.port,
    path: `/v1/stream?token=${at.token}`,
    onFrame: (payload) => take(resumer, JSON.parse(payload.toString('utf8')) as Message),
  });
  const after = resumer.positions === undefined ? {} : { after: tokenFromPositions(resumer.positions) };
  client.sendText(JSON.stringify({ subscribe: { id: 'a', channel: resumer.device, ...after } }));
  resumer.client = client;
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Disconnects for a while every so often, from a random time on, for so many seconds. */
async function churn(resumer: Resumer, awayMs: number, everyMs: number, seconds: number): Promise<void> {
  const end = performance.now() + seconds * 1_000;
  await sleep(Math.random() * (everyMs - awayMs));
  while (performance.now() + awayMs < end) {
    resumer.client?.terminate();
    await sleep(awayMs);
    await connect(resumer).catch(async () => {
      counted.failures++;
      await sleep(200);
      await connect(resumer);
    });
    await sleep(everyMs - awayMs);
  }
}

answer({
  open: async ({ port, token, first, count }: { port: number; token: string; first: number; count: number }) => {
    at = { port, token };
    for (let i = 0; i < count; i += 50) {
      const made = Array.from({ length: Math.min(50, count - i) }, (_, k) => ({
        device: deviceName(first + i + k),
        client: undefined,
        positions: undefined,
        deliveries: createChecker(deviceName(first + i + k)),
        startedMs: undefined,
      }));
      resumers.push(...made);
      await Promise.all(made.map(connect));
    }
    return {};
  },
  churn: async ({ awayMs, everyMs, seconds }: { awayMs: number; everyMs: number; seconds: number }) => {
    await Promise.all(resumers.map((resumer) => churn(resumer, awayMs, everyMs, seconds)));
    return {};
  },
  count: () => ({ ...counted, replaysMs }),
});
