import { WebSocket } from 'ws';

export interface VisitPlan {
  readonly streamPort: number;
  readonly token: string;
  readonly channel: string;
  readonly options: Readonly<Record<string, unknown>>;
}

interface Message {
  readonly subscribed?: { readonly snapshot: number };
  readonly data?: { readonly snapshotComplete?: boolean; readonly reports?: readonly { readonly device: string }[] };
  readonly cut?: unknown;
  readonly error?: { readonly code: string; readonly message: string };
}

/** One visit: the time until the client had its last values, ms, or why it did not get them. */
export type VisitResult = { readonly ms: number; readonly devices: ReadonlySet<string> } | { readonly failure: string };

const visitDeadlineMs = 10_000;

/** Connects, subscribes, waits for the last values, and disconnects. Never rejects. */
export function visit({ streamPort, token, channel, options }: VisitPlan): Promise<VisitResult> {
  const startedAtMs = performance.now();
  const { promise, resolve } = Promise.withResolvers<VisitResult>();
  const socket = new WebSocket(`ws://127.0.0.1:${streamPort}/v1/stream`, ['tailrace.v1.json'], {
    headers: { authorization: `Bearer ${token}` },
    perMessageDeflate: false,
  });
  const devices = new Set<string>();
  const finish = (result: VisitResult) => {
    clearTimeout(timer);
    resolve(result);
    socket.terminate();
  };
  const done = () => finish({ ms: performance.now() - startedAtMs, devices });
  const timer = setTimeout(
    () => finish({ failure: `${channel}: no last values within ${visitDeadlineMs} ms` }),
    visitDeadlineMs,
  );
  socket.on('open', () => socket.send(JSON.stringify({ subscribe: { id: 'v', channel, ...options } })));
  socket.on('message', (bytes) => {
    const { subscribed, data, cut, error } = JSON.parse(String(bytes)) as Message;
    if (error !== undefined) finish({ failure: `${channel}: ${error.code}: ${error.message}` });
    // With `align` the first cut has the last values.
    if (cut !== undefined || (subscribed?.snapshot === 0 && options['align'] === undefined)) done();
    for (const { device } of data?.reports ?? []) devices.add(device);
    if (data?.snapshotComplete === true) done();
  });
  socket.on('close', (code, reason) => finish({ failure: `${channel}: closed ${code} ${String(reason)}` }));
  socket.on('error', (error) => finish({ failure: `${channel}: ${error.message}` }));
  return promise;
}
