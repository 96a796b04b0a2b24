import type { Bus } from '@tailrace/bus/bus';
import type { EventLog } from '@tailrace/eventlog/eventlog';
import type { Clock } from '@tailrace/platform/clock';
import { silentLog } from '@tailrace/platform/log';
import { noTracing, type Tracing } from '@tailrace/platform/tracing';
import { Resume, type ResumeLimits } from '../src/catchup/resume.ts';
import { type WorkLimits, WorkScheduler } from '../src/catchup/work-scheduler.ts';
import type { Channel } from '../src/channels/channel.ts';
import { Channels } from '../src/channels/channels.ts';
import { Hub } from '../src/channels/hub.ts';
import { Ownership } from '../src/ownership/ownership.ts';
import type { OwnershipLimits } from '../src/ownership/ownershipparts.ts';
import { type Broadcast, Views } from '../src/views/view.ts';
import { viewLimits } from './viewlimits.ts';

export const topic = 'tailrace.telemetry';
export const stateTopic = 'tailrace.state';
export const epoch = 'epoch-1';

export interface AssemblyParts {
  readonly node: string;
  readonly eventLog: EventLog;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: () => number;
  readonly partitions: number;
  readonly broadcast: Broadcast;
  readonly limits: OwnershipLimits &
    ResumeLimits &
    WorkLimits & {
      readonly cutBytesMax: number;
      readonly wholeCutBytesMax?: number;
      readonly replaysMax: number;
      readonly alignWaitMs: number;
      readonly snapshotDevicesPerFrame?: number;
      readonly channelLingerMs?: number;
    };
  /** Of background work in one turn of the event loop. Default: no bound. */
  readonly stepsMax?: number;
  /** How long a turn of the event loop takes, ms. Default: no time. */
  readonly turnMs?: () => number;
  readonly connections?: () => number;
  /** Clients can be sent to it. Default: false. */
  readonly reachable?: boolean;
  /** Default: none. */
  readonly tracing?: Tracing;
  readonly onMissing?: (channel: Channel, partition: number, from: number, until: number) => void;
}

export interface Assembly {
  readonly channels: Channels;
  readonly views: Views;
  readonly ownership: Ownership;
  readonly past: Resume;
  readonly hub: Hub;
  readonly work: WorkScheduler;
}

/** A fanout node's inside, as app.ts wires it, without sockets. Not started. */
export function assembleNode(parts: AssemblyParts): Assembly {
  const { node, eventLog, bus, clock, random, partitions, limits } = parts;
  const views = new Views(parts.broadcast, clock, viewLimits);
  const channels = new Channels(partitions);
  const defer = (call: () => void) => void clock.after(parts.turnMs?.() ?? 0, call);
  const work = new WorkScheduler({ clock, defer, limits, stepsMax: parts.stepsMax });
  const ownership = new Ownership({
    work,
    eventLog,
    bus,
    clock,
    log: silentLog,
    tracing: parts.tracing ?? noTracing,
    random,
    channels,
    views,
    node,
    url: () => `ws://${node}`,
    topic,
    stateTopic,
    group: 'fanout',
    epoch,
    partitions,
    connections: parts.connections ?? (() => 0),
    reachable: parts.reachable ?? false,
    onMissing: (channel, partition, from, until, reason) => {
      parts.onMissing?.(channel, partition, from, until);
      views.tellMissing(channel, partition, from, until, reason);
    },
    limits,
  });
  const past = new Resume({ ownership, ranges: ownership.ranges, epoch, clock, limits });
  const hub = new Hub({ past, channels, views, ownership, epoch, clock, ...limits });
  return { channels, views, ownership, past, hub, work };
}
