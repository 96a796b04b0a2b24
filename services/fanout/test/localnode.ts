import assert from 'node:assert/strict';
import { partitionOf } from '@tailrace/protocol/partition';
import { createFakeClock, type FakeClock } from '@tailrace/testkit/fakeclock';
import { Resume } from '../src/catchup/resume.ts';
import type { WorkScheduler } from '../src/catchup/work-scheduler.ts';
import { Channels } from '../src/channels/channels.ts';
import { Hub } from '../src/channels/hub.ts';
import { type KnownDeviceLimits, KnownDevices } from '../src/channels/known-devices.ts';
import { IdMemory } from '../src/ownership/id-memory.ts';
import { Partition } from '../src/ownership/partition.ts';
import { Silences } from '../src/presence/silences.ts';
import { Interests } from '../src/relay/interests.ts';
import { RelayFeed } from '../src/relay/relayfeed.ts';
import { type ViewLimits, Views } from '../src/views/view.ts';
import { deviceLimits } from './devicelimits.ts';
import { freshnessLimits } from './freshnesslimits.ts';
import { idLimits, logRangesOf } from './log-ranges.ts';
import { record, type Values } from './records.ts';
import { viewLimits } from './viewlimits.ts';
import { workOn } from './worklimits.ts';

/** What a node has of its own: partitions, channels, views and hub, without a log, a bus or sockets. All of it happens at once. */
export interface LocalNode {
  readonly clock: FakeClock;
  readonly channels: Channels;
  readonly views: Views;
  readonly hub: Hub;
  readonly work: WorkScheduler;
  readonly silences: Silences;
  readonly partitions: readonly Partition[];
  /** What was published, in order. */
  readonly published: { readonly topic: string; readonly frame: string | Uint8Array }[];
  /** The topics' sockets: told of each frame as it is published. */
  readonly sockets: Set<{ onPublished(topic: string, frame: string | Uint8Array): void }>;
  /** Makes the node the owner of a partition, from its start. */
  own(partition: number): void;
  /** A report comes from the log. Its position. */
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
  const { partitions: count = 2, owned = true, joinDeadlineMs = 5_000 } = options;
  const clock = createFakeClock({ nowMs: 1_700_000_000_000 });
  const published: { topic: string; frame: string | Uint8Array }[] = [];
  const sockets: LocalNode['sockets'] = new Set();
  const channels = new Channels(count);
  const publish = (topic: string, frame: string | Uint8Array) => {
    published.push({ topic, frame });
    for (const socket of sockets) socket.onPublished(topic, frame);
  };
  const views = new Views({ publish }, clock, { ...viewLimits, ...options });
  const silences = new Silences({
    clock,
    channels,
    views,
    eventLog: { ends: async () => partitions.map(({ next }) => next) },
    topic: 't',
    partitions: () => partitions,
    deliveredThroughMs: (number) => partitions[number]!.progress.deliveredThroughMs,
    isSettled: () => true,
    limits: freshnessLimits,
  });
  const known = new KnownDevices({ ...deviceLimits, ...options });
  const idMemory = new IdMemory(idLimits, () => clock.now());
  const partitions: readonly Partition[] = Array.from({ length: count }, (_, number) => {
    const feed = new RelayFeed({
      bus: { publish() {} },
      interests: new Interests(30_000),
      partition: number,
      node: 'n',
      epoch: 'epoch-1',
      now: () => clock.monotonic(),
      counts: { frames: 0, updates: 0 },
    });
    const counts = { reports: 0, repeated: 0 };
    return new Partition(number, {
      channels,
      views,
      feed,
      counts,
      known,
      idMemory,
      window: { bytesMax: options.windowBytesMax ?? 1_048_576, ageMsMax: 60_000 },
      freshness: silences.freshness,
      cutSlackMs: freshnessLimits.cutSlackMs,
      onMissing: (...missing) => views.tellMissing(...missing),
    });
  });
  const ownership = {
    partitions,
    silences,
    admit: (channel: Parameters<Partition['admit']>[0]) => {
      for (const number of channel.partitions) partitions[number]!.admit(channel);
    },
    release() {},
    next: (_channel: unknown, number: number) => partitions[number]!.next,
  };
  // Without a log there is only what the windows hold.
  const nowhere = () => assert.fail('the log is read');
  const log = { read: nowhere, bounds: nowhere, positionsAt: nowhere };
  const limits = { resumeRecordsMax: 0, resumeBytesMax: 1_000_000, joinDeadlineMs };
  const past = new Resume({
    ownership,
    ranges: logRangesOf(log, { ids: idMemory }),
    epoch: 'epoch-1',
    clock,
    limits,
  });
  const hub = new Hub({
    ...{ channels, views, ownership, epoch: 'epoch-1', clock, joinDeadlineMs, past },
    ...{ resumeBytesMax: 1_000_000, replaysMax: 2, alignWaitMs: 1_000, cutBytesMax: 1e9 },
  });
  const own = (number: number) => partitions[number]!.gain(1, 0, 0);
  if (owned) for (const { number } of partitions) own(number);
  return {
    clock,
    channels,
    views,
    hub,
    work: workOn(clock),
    silences,
    partitions,
    published,
    sockets,
    own,
    report(device, values) {
      const partition = partitions[partitionOf(device, count)]!;
      const seq = partition.next;
      partition.accept([record(device, seq, values)]);
      views.flush();
      return { partition: partition.number, seq };
    },
  };
}
