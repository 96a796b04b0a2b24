import type { Bus } from '@tailrace/bus/bus';
import type { EventLog } from '@tailrace/eventlog/event-log';
import { partitionOf } from '@tailrace/protocol/partition';
import { encodeReport } from '@tailrace/protocol/report-proto';
import { type ServerMessage, serverMessageFromJson } from '@tailrace/protocol/server-message';
import { createFakeClock, type FakeClock } from '@tailrace/testkit/fake-clock';
import { composeNode } from '../src/app.ts';
import type { Channel, Channels } from '../src/channels/channels.ts';
import { MemoryTransport } from '../src/memory-transport.ts';
import type { Partition } from '../src/ownership/partition.ts';
import type { KnownPresences, PresenceMonitor } from '../src/presence/presence-monitor.ts';
import { deviceLimits } from './device-limits.ts';
import { fanoutOptions, topicsOf } from './fanout-options.ts';
import { idLimits } from './log-ranges.ts';

const pollMs = 500;
/** What a new client was sent. */
export const nothingSent: Readonly<KnownPresences> = { presencesKnown: undefined, isInterrupted: false };

/**
 * A node that reads partitions and sends presence messages to one JSON client for each channel. Without log, bus and
 * sockets.
 */
export interface ListeningNode {
  readonly clock: FakeClock;
  readonly presence: PresenceMonitor;
  readonly channels: Channels;
  readonly partitions: readonly Partition[];
  /** Messages that clients received, except for data, and when, ms after the start. */
  readonly notifications: { readonly atMs: number; readonly message: ServerMessage }[];
  /** Whether requests to the log fail. */
  isLogUnavailable: boolean;
  /** Overrides up to when a partition was delivered. Default: as the node itself knows. */
  deliveredThroughMs: ((partition: number) => number) | undefined;
  watch(pattern: string): Channel;
  /** Appends a report to the log; the node reads it unless `unread`. */
  report(device: string, options?: { unread?: boolean; receivedMs?: number }): void;
  /** Advances the clock, with a poll every 500 ms and, every `everyMs`, a report of each device. */
  pass(ms: number, reports?: { everyMs: number; devices: readonly string[] }): Promise<void>;
  /** Returns the messages since the last call, as `stale a.b`. */
  takeNotifications(): string[];
}

export function createListeningNode(options: { partitions?: number; owned?: boolean } = {}): ListeningNode {
  const { partitions: count = 1, owned = true } = options;
  const clock = createFakeClock({ nowMs: 1_700_000_000_000 });
  const notifications: { atMs: number; message: ServerMessage }[] = [];
  let asked = 0;
  const transport = new MemoryTransport({ socketBytesMax: Number.POSITIVE_INFINITY });
  transport.publish = (_topic, frame) => {
    const message = serverMessageFromJson(String(frame));
    if (message !== undefined && !('data' in message)) notifications.push({ atMs: clock.monotonic(), message });
  };
  const endOffsets = new Array<number>(count).fill(0);
  const eventLog = {
    async endOffsets() {
      if (node.isLogUnavailable) throw new Error('the log is unavailable');
      return endOffsets;
    },
  } as unknown as EventLog;
  const { channels, views, ownership } = composeNode(
    fanoutOptions({
      node: 'n',
      eventLog,
      bus: { publish() {} } as unknown as Bus,
      clock,
      transport,
      partitions: count,
      settings: { ...deviceLimits, ...idLimits },
    }),
    topicsOf(count),
  );
  const { partitions, presence } = ownership;
  for (const { number, progress } of partitions) {
    let throughMs = progress.deliveredThroughMs;
    progress.deliveredThrough = (ms) => {
      throughMs = Math.max(throughMs, ms);
    };
    const get = () => node.deliveredThroughMs?.(number) ?? throughMs;
    Object.defineProperty(progress, 'deliveredThroughMs', { get });
  }
  const node: ListeningNode = {
    clock,
    presence,
    channels,
    partitions,
    notifications,
    isLogUnavailable: false,
    deliveredThroughMs: undefined,
    watch(pattern) {
      const channel = channels.open(pattern);
      channel.subscriptions++;
      views.enter(channel, 'json').sockets++;
      for (const number of channel.partitions) channel.join(number, partitions[number]!.next);
      return channel;
    },
    report(device, { unread = false, receivedMs = clock.now() } = {}) {
      const number = partitionOf(device, count);
      const seq = endOffsets[number]!++;
      if (unread) return;
      const report = { device, time: receivedMs, readings: [{ tag: 'n', value: seq }] };
      const timeMs = clock.now();
      partitions[number]!.accept([{ seq, timeMs, key: device, value: encodeReport(report, receivedMs) }]);
      views.flush();
    },
    async pass(ms, reports) {
      for (let passed = 0; passed < ms; passed += pollMs) {
        await clock.advance(pollMs);
        if (reports !== undefined && clock.monotonic() % reports.everyMs === 0) {
          for (const device of reports.devices) node.report(device);
        }
        void presence.poll();
        await clock.advance(0);
      }
    },
    takeNotifications() {
      const latest = notifications.slice(asked).map(({ message }) => {
        const [kind, fields] = Object.entries(message)[0] as [string, { device?: string }];
        return fields.device === undefined ? kind : `${kind} ${fields.device}`;
      });
      asked = notifications.length;
      return latest;
    },
  };
  if (owned) for (const partition of partitions) partition.gain(1, 0, 0);
  return node;
}
