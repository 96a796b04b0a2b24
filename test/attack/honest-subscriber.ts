import type { Delivery } from '@tailrace/client/report';
import { createStream, type Stream } from '@tailrace/client/stream';
import { WebSocket } from 'ws';
import type { Publication, Watch } from '../chaos/checker.ts';

/** Receives each live report of a subscription, with the time by `performance.now`. */
export type OnPublication = (report: Publication, atMs: number) => void;

export interface SubscriberOptions {
  readonly streamPort: number;
  readonly token: string;
  readonly channel: string;
  readonly watch: Watch;
  readonly onPublication: OnPublication;
  /** Called when it has lost its connection or its subscription. */
  readonly onLost: (why: string) => void;
}

interface PublishedReport {
  readonly device: string;
  readonly partition: number;
  readonly seq: number;
  readonly readings: readonly { readonly value: unknown }[];
}

/** A subscription of an honest client. */
export interface HonestSubscriber {
  /** Resolves when it is live. */
  readonly live: Promise<void>;
  close(): void;
}

/** Subscribes by docs/PROTOCOL.md alone, and does not reconnect. */
export function subscribeRaw(options: SubscriberOptions): HonestSubscriber {
  const { streamPort, token, channel, watch, onPublication, onLost } = options;
  const socket = new WebSocket(`ws://127.0.0.1:${streamPort}/v1/stream`, ['tailrace.v1.json'], {
    headers: { authorization: `Bearer ${token}` },
    perMessageDeflate: false,
  });
  const { promise: live, resolve, reject } = Promise.withResolvers<void>();
  let isClosing = false;
  socket.on('open', () => socket.send(JSON.stringify({ subscribe: { id: 'a', channel } })));
  socket.on('message', (bytes) => {
    const atMs = performance.now();
    const message = JSON.parse(String(bytes)) as Record<string, unknown>;
    if ('subscribed' in message) resolve();
    if ('error' in message) onLost(`${channel}: ${JSON.stringify(message['error'])}`);
    for (const kind of ['stale', 'offline', 'interrupted']) {
      // These devices report all the time.
      if (kind in message) onLost(`${channel}: ${kind} ${JSON.stringify(message[kind])}`);
    }
    if (!('data' in message)) return;
    const data = message['data'] as { reports?: PublishedReport[]; skipped?: unknown; snapshot?: boolean };
    const { reports = [], skipped, snapshot = false } = data;
    for (const report of reports) receive(report, atMs, watch, snapshot ? undefined : onPublication);
    if (skipped !== undefined) onLost(`${channel}: skipped ${JSON.stringify(skipped).slice(0, 200)}`);
  });
  const lost = (why: string) => {
    reject(new Error(why));
    if (!isClosing) onLost(`${channel}: ${why}`);
  };
  socket.on('close', (code, reason) => lost(`closed ${code} ${String(reason)}`));
  socket.on('error', (error) => lost(error.message));
  return {
    live,
    close() {
      isClosing = true;
      socket.terminate();
    },
  };
}

/** Subscribes by the SDK, which reconnects and resumes. */
export function subscribeSdk(options: SubscriberOptions): HonestSubscriber {
  const { streamPort, token, channel, watch, onPublication, onLost } = options;
  const { promise: live, resolve } = Promise.withResolvers<void>();
  const stream: Stream = createStream({
    url: `ws://127.0.0.1:${streamPort}`,
    token,
    pingMs: 1_000,
    deadlineMs: 10_000,
  });
  const take = (onLive: OnPublication | undefined) => (reports: readonly Delivery[]) => {
    const atMs = performance.now();
    for (const report of reports) receive(report, atMs, watch, onLive);
  };
  stream.onState((state) => {
    if (state.name === 'waiting' || state.name === 'closed') onLost(`SDK: ${state.loss.code} ${state.loss.message}`);
  });
  stream.subscribe(channel, {
    onSnapshot: take(undefined),
    onReports: take(onPublication),
    onState: (state) => {
      if (state.name === 'live') {
        resolve();
        if (state.missing !== undefined) watch.missing(state.missing);
      }
      if (state.name === 'failed') onLost(`SDK: ${channel}: ${state.error.code}`);
    },
  });
  return { live, close: () => stream.close() };
}

function receive(report: PublishedReport, atMs: number, watch: Watch, onLive: OnPublication | undefined): void {
  const { device, partition, seq, readings } = report;
  const value = readings.find(({ tag }) => tag === 'n')?.value;
  // A will: of a device that connects again when the target stops, before its next report.
  if (value === undefined) return;
  const publication = { device, partition, seq, value: Number(value) };
  watch.shown(publication, atMs);
  onLive?.(publication, atMs);
}
