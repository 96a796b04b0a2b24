import assert from 'node:assert/strict';
import type { Bus } from '@tailrace/bus/bus';
import type { EventLog } from '@tailrace/eventlog/event-log';
import { partitionOf } from '@tailrace/protocol/partition';
import { createFakeClock, type FakeClock } from '@tailrace/testkit/fake-clock';
import { composeNode } from '../src/app.ts';
import type { WorkScheduler } from '../src/catch-up/work-scheduler.ts';
import type { Channels } from '../src/channels/channels.ts';
import type { KnownDeviceLimits } from '../src/channels/device.ts';
import type { Hub } from '../src/channels/hub.ts';
import type { EventBoard } from '../src/events/event-board.ts';
import type { EventHub } from '../src/events/event-hub.ts';
import { MemoryTransport } from '../src/memory-transport.ts';
import type { Partition } from '../src/ownership/partition.ts';
import type { PresenceMonitor } from '../src/presence/presence-monitor.ts';
import type { ViewLimits, Views } from '../src/views/view.ts';
import { deviceLimits } from './device-limits.ts';
import { fanoutOptions, topicsOf } from './fanout-options.ts';
import { idLimits } from './log-ranges.ts';
import { record, type Values } from './records.ts';

/** A node without log, bus and sockets: its partitions, channels, views and hub. Everything happens at once. */
export interface LocalNode {
  readonly clock: FakeClock;
  readonly channels: Channels;
  readonly views: Views;
  readonly hub: Hub;
  readonly eventHub: EventHub;
  /** The boards of its partitions. */
  readonly boards: readonly EventBoard[];
  readonly work: WorkScheduler;
  readonly presence: PresenceMonitor;
  readonly partitions: readonly Partition[];
  /** Published frames, in order. */
  readonly published: { readonly topic: string; readonly frame: string | Uint8Array }[];
  /** Receive each frame as it is published. */
  readonly sockets: Set<{ onPublished(topic: string, frame: string | Uint8Array): void }>;
  /** Makes the node the owner of a partition, from position 0. */
  own(partition: number): void;
  /** Delivers a report as from the log. Returns its position. */
  report(device: string, values: Values): { readonly partition: number; readonly seq: number };
}

export function createLocalNode(
  options: Partial<ViewLimits & KnownDeviceLimits> & {
    partitions?: number;
    owned?: boolean;
    joinDeadlineMs?: number;
    windowBytesMax?: number;
  } = {},
): LocalNode {
  const { partitions: count = 2, owned = true, joinDeadlineMs = 5_000, windowBytesMax = 1_048_576, ...own } = options;
  const clock = createFakeClock({ nowMs: 1_700_000_000_000 });
  const published: { topic: string; frame: string | Uint8Array }[] = [];
  const sockets: LocalNode['sockets'] = new Set();
  const transport = new MemoryTransport({ socketBytesMax: Number.POSITIVE_INFINITY });
  transport.publish = (topic, frame) => {
    published.push({ topic, frame });
    for (const socket of sockets) socket.onPublished(topic, frame);
  };
  // Without a log only the windows have reports.
  const nowhere = () => assert.fail('the log is read');
  const eventLog = {
    ...{ read: nowhere, bounds: nowhere, positionsAt: nowhere },
    endOffsets: async () => partitions.map(({ next }) => next),
  } as unknown as EventLog;
  const node = composeNode(
    fanoutOptions({
      node: 'n',
      eventLog,
      bus: { publish() {} } as unknown as Bus,
      clock,
      transport,
      partitions: count,
      settings: {
        ...deviceLimits,
        ...idLimits,
        ...{ windowBytesMax, joinDeadlineMs, resumeRecordsMax: 0, resumeBytesMax: 1_000_000 },
        ...{ replaysMax: 2, alignWaitMs: 1_000, cutBytesMax: 1e9 },
        ...own,
      },
    }),
    topicsOf(count),
  );
  const { channels, views, hub, eventHub, work } = node;
  const { partitions, presence } = node.ownership;
  const gain = (number: number) => partitions[number]!.gain(1, 0, 0);
  if (owned) for (const { number } of partitions) gain(number);
  return {
    clock,
    channels,
    views,
    hub,
    eventHub,
    boards: node.ownership.events.boards,
    work,
    presence,
    partitions,
    published,
    sockets,
    own: gain,
    report(device, values) {
      const partition = partitions[partitionOf(device, count)]!;
      const seq = partition.next;
      partition.accept([record(device, seq, values)]);
      views.flush();
      return { partition: partition.number, seq };
    },
  };
}
