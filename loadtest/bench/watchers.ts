/** Clients of the bench: each watches some devices, counts reports, and times some of them. */
import { answer } from './child.ts';
import { deviceName } from './node-options.ts';
import { openWsClient, type WsClient } from './ws-client.ts';

const clients: WsClient[] = [];
let reports = 0;
let frames = 0;
let delaysMs: number[] = [];
let lost = 0;

const timed = /"received":([\d.]+)/g;
const marker = Buffer.from('"seq":');

interface Open {
  readonly ports: readonly number[];
  readonly token: string;
  /** Clients first, first + 1, …; client i watches the devices i · each, … modulo `devices`. */
  readonly first: number;
  readonly count: number;
  readonly each: number;
  readonly devices: number;
  /** One client in so many times its reports; 0: none. */
  readonly timedEvery: number;
}

function onFrame(payload: Buffer, isTimed: boolean): void {
  // Only data has positions.
  let at = payload.indexOf(marker);
  if (at < 0) return;
  frames++;
  for (; at >= 0; at = payload.indexOf(marker, at + 6)) reports++;
  if (!isTimed) return;
  const nowMs = performance.timeOrigin + performance.now();
  for (const [, received] of payload.toString('latin1').matchAll(timed)) delaysMs.push(nowMs - Number(received));
}

async function open({ ports, token, first, count, each, devices, timedEvery }: Open): Promise<object> {
  const openOne = async (i: number) => {
    const channels = Array.from({ length: each }, (_, k) => `channel=${deviceName((i * each + k) % devices)}`);
    const isTimed = timedEvery > 0 && i % timedEvery === 0;
    const client = await openWsClient({
      port: ports[i % ports.length]!,
      path: `/v1/stream?token=${token}&${channels.join('&')}`,
      onFrame: (payload) => onFrame(payload, isTimed),
      onClose: () => {
        lost++;
      },
    });
    clients.push(client);
  };
  for (let i = 0; i < count; i += 50) {
    await Promise.all(Array.from({ length: Math.min(50, count - i) }, (_, k) => openOne(first + i + k)));
  }
  return {};
}

/** `sockets` clients a device, all on the node that owns it (`shift` 0), or on the next one. */
async function openPlaced(facts: {
  ports: readonly number[];
  token: string;
  shift: number;
  devices: number;
  sockets: number;
}): Promise<object> {
  const { ports, token, shift, devices, sockets } = facts;
  const openAll = async (i: number) => {
    const device = deviceName(i);
    const route = await fetch(`http://127.0.0.1:${ports[0]}/v1/route?device=${device}&token=${token}`);
    const { url } = (await route.json()) as { url: string };
    const owner = ports.indexOf(Number(new URL(url).port));
    const port = ports[(owner + shift) % ports.length]!;
    for (let k = 0; k < sockets; k++) {
      const path = `/v1/stream?token=${token}&channel=${device}`;
      clients.push(await openWsClient({ port, path, onFrame: (payload) => onFrame(payload, false) }));
    }
  };
  for (let i = 0; i < devices; i += 20) {
    await Promise.all(Array.from({ length: Math.min(20, devices - i) }, (_, k) => openAll(i + k)));
  }
  return {};
}

answer({
  open,
  openPlaced,
  close: () => {
    for (const client of clients.splice(0)) client.terminate();
    return {};
  },
  reset: () => {
    reports = 0;
    frames = 0;
    lost = 0;
    delaysMs = [];
    return {};
  },
  count: () => ({ reports, frames, lost, delaysMs }),
});
