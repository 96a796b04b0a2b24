import type { Bus } from '@tailrace/bus/bus';
import { Delivered } from '@tailrace/client/delivered';
import { Progress as ClientProgress } from '@tailrace/client/progress';
import { SubscriptionRecord } from '@tailrace/client/subscription-record';
import { RecordBuffer } from '@tailrace/eventlog/record-buffer';
import { Backlog } from '@tailrace/fanout/catch-up/backlog';
import { History, type ResumeBacklog } from '@tailrace/fanout/catch-up/history';
import { Channel, Channels } from '@tailrace/fanout/channels/channels';
import { Hub } from '@tailrace/fanout/channels/hub';
import { LogReport } from '@tailrace/fanout/channels/log-report';
import { SubscribeReplies } from '@tailrace/fanout/channels/subscribe-replies';
import { Failover } from '@tailrace/fanout/ownership/failover';
import { IdLookback } from '@tailrace/fanout/ownership/id-lookback';
import { Partition } from '@tailrace/fanout/ownership/partition';
import { RecentIds } from '@tailrace/fanout/ownership/recent-ids';
import { Ring } from '@tailrace/fanout/ownership/ring';
import { HeldFrames } from '@tailrace/fanout/relay/held-frames';
import { Interests } from '@tailrace/fanout/relay/relay-feed';
import { RepeatLookup } from '@tailrace/fanout/relay/repeat-lookup';
import { SharedMessage } from '@tailrace/fanout/views/shared-message';
import { Views } from '@tailrace/fanout/views/view';
import type { Claims } from '@tailrace/platform/token';
import { AlarmOrder } from '@tailrace/protocol/alarm-order';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { positionsFromToken, tokenFromPositions } from '@tailrace/protocol/position';
import type { Progress, ServerMessage } from '@tailrace/protocol/server-message';
import { replaceProperty } from '@tailrace/testkit/replace-property';
import { controlMutations } from './control-mutations.ts';
import type { ControlSideOptions } from './control-side.ts';
import { epochMs } from './world.ts';

const { EventFrame, Interest, OwnerRequest, RelayFrame } = tailrace.v1;

/**
 * A mechanism that is removed, to prove that the checker finds its lack. It is removed at a seam, the bus between nodes
 * or one public method, while a simulation runs: the product has no switch for it, and its code is not edited.
 */
export interface Mutation {
  /** Wraps the bus of a node. */
  readonly seam?: (bus: Bus) => Bus;
  /** Replaces the verification of tokens. */
  readonly verify?: (token: string) => Promise<Claims>;
  /** Changes control and its store. */
  readonly control?: ControlSideOptions;
  /** Changes methods. Returns a function that restores them. */
  readonly weaken?: () => () => void;
}

/** Replaces one method until the returned function is called. */
function replace<T extends object, K extends keyof T>(target: T, method: K, by: (original: T[K]) => T[K]): () => void {
  return replaceProperty(target, method, by(target[method]));
}

/** Returns the message with a position that is two reports ahead in each partition. */
function ahead({ view, position }: Progress): ServerMessage {
  const positions = positionsFromToken(position);
  for (const [partition, last] of [...positions.entries()]) positions.advance(partition, last + 2);
  return { progress: { view, position: tokenFromPositions(positions) } };
}

/** Changes the frames of owners that a node receives. */
function framesAs(change: (frame: tailrace.v1.RelayFrame) => void): (bus: Bus) => Bus {
  return (bus) => ({
    ...bus,
    subscribe: (subject, onMessage) =>
      bus.subscribe(subject, (payload, on) => {
        if (!on.startsWith('tailrace.v1.relay.')) {
          onMessage(payload, on);
          return;
        }
        const frame = RelayFrame.decode(payload);
        change(frame);
        onMessage(RelayFrame.encode(frame).finish(), on);
      }),
  });
}

/** Changes the frames of events that a node receives. */
function eventFramesAs(change: (frame: tailrace.v1.EventFrame) => void): (bus: Bus) => Bus {
  return (bus) => ({
    ...bus,
    subscribe: (subject, onMessage) =>
      bus.subscribe(subject, (payload, on) => {
        if (!on.startsWith('tailrace.v1.events.')) {
          onMessage(payload, on);
          return;
        }
        const frame = EventFrame.decode(payload);
        change(frame);
        onMessage(EventFrame.encode(frame).finish(), on);
      }),
  });
}

/** Changes the requests that a node sends to owners. */
function requestsAs(change: (request: tailrace.v1.OwnerRequest, owner: string) => void): (bus: Bus) => Bus {
  return (bus) => ({
    ...bus,
    request(subject, payload, options) {
      if (!subject.startsWith('tailrace.v1.owner.')) return bus.request(subject, payload, options);
      const request = OwnerRequest.decode(payload);
      change(request, subject);
      return bus.request(subject, OwnerRequest.encode(request).finish(), options);
    },
  });
}

/** Mechanisms of the relay, of ownership, of resume, of the client library, and of control. */
export const mutations: Readonly<Record<string, Mutation>> = {
  ...controlMutations,
  'a lost frame of alarms is not noticed': {
    seam: eventFramesAs((frame) => {
      frame.previous = 0;
    }),
  },
  'an alarm counts as often as it is written, by any process': {
    weaken: () => replace(AlarmOrder.prototype, 'accepts', () => () => true),
  },
  'the relay does not check that frames follow each other': {
    seam: framesAs((frame) => {
      frame.previous = 0;
    }),
  },
  'a gap in the frames is not followed by a replay': {
    seam: requestsAs((request) => {
      // Without what the node has: the reply has last values, as for a new node.
      request.interests = request.interests.map(({ channel }) => new Interest({ channel: channel ?? '' }));
    }),
  },
  'interest is lost at a handover': {
    seam: (bus) => {
      const first = new Map<number, string>();
      return requestsAs((request, owner) => {
        if (!first.has(request.partition)) first.set(request.partition, owner);
        if (first.get(request.partition) === owner) return;
        request.interests = [];
        request.held = 0;
      })(bus);
    },
  },
  'a group member drops what does not fit into one call': {
    weaken: () =>
      replace(RecordBuffer.prototype, 'take', (original) => {
        return function (this: RecordBuffer, recordsMax, bytesMax) {
          const batches = original.call(this, recordsMax, bytesMax);
          for (const { queue } of batches) queue.clear();
          return batches;
        };
      }),
  },
  'the latest report is taken as the last value': {
    weaken: () => {
      const original = Object.getOwnPropertyDescriptor(LogReport.prototype, 'timeMs')!;
      Object.defineProperty(LogReport.prototype, 'timeMs', { ...original, get: () => Number.MAX_SAFE_INTEGER });
      return () => Object.defineProperty(LogReport.prototype, 'timeMs', original);
    },
  },
  'the node does not drop old reports': {
    weaken: () =>
      replace(
        Channel.prototype,
        'take',
        (original) =>
          function (this: Channel, partition, seq) {
            original.call(this, partition, seq);
            return true;
          },
      ),
  },
  'neither node nor client drops old reports': {
    weaken: () => {
      const node = mutations['the node does not drop old reports']!.weaken!();
      const client = replace(Delivered.prototype, 'newer', () => (reports) => reports);
      return () => {
        client();
        node();
      };
    },
  },
  'message IDs are not stored': {
    weaken: () => replace(RecentIds.prototype, 'repeats', () => () => false),
  },
  'a new owner does not read earlier message IDs': {
    weaken: () =>
      replace(
        IdLookback.prototype,
        'before',
        (original) =>
          function (this: IdLookback, number, from) {
            return original.call(this, number, from, from);
          },
      ),
  },
  'a reader of history takes every report as new': {
    weaken: () => replace(RepeatLookup.prototype, 'repeatsOf', () => async () => new Set<number>()),
  },
  'message IDs expire after half of the window': {
    weaken: () =>
      replace(
        RecentIds.prototype,
        'repeats',
        (original) =>
          function (this: RecentIds, device, id, seq, timeMs) {
            // Time passes twice as fast.
            return original.call(this, device, id, seq, 2 * timeMs - epochMs);
          },
      ),
  },
  'frames that arrive during a request are dropped': {
    weaken: () =>
      replace(
        HeldFrames.prototype,
        'hold',
        (original) =>
          function (this: HeldFrames, held, bytes) {
            const frame = new RelayFrame({ ...held.frame, updates: [] });
            return original.call(this, { ...held, frame }, bytes);
          },
      ),
  },
  'held frames have no bound': {
    weaken: () =>
      replace(
        HeldFrames.prototype,
        'hold',
        (original) =>
          function (this: HeldFrames, frame, bytes) {
            original.call(this, frame, bytes);
            return true;
          },
      ),
  },
  'tokens are not verified': {
    verify: async () => ({ subject: 's', publish: [], subscribe: ['>'] }),
  },
  'generations of claims and frames are ignored': {
    weaken: () =>
      replace(
        Ring.prototype,
        'announced',
        (original) =>
          function (this: Ring, state, nowMs) {
            original.call(this, { ...state, generation: 0 }, nowMs);
          },
      ),
  },
  'reports that arrive while the backlog is read are dropped': {
    weaken: () =>
      replace(
        Channels.prototype,
        'open',
        (original) =>
          function (this: Channels, pattern) {
            const channel = original.call(this, pattern);
            channel.liveBuffers.add = () => channel.liveBuffers;
            return channel;
          },
      ),
  },
  'ranges that an owner cannot read are not sent to other nodes': {
    seam: framesAs((frame) => {
      frame.unreadable = [];
    }),
  },
  'ranges that the log cannot read are not sent to clients that resume': {
    weaken: () =>
      replace(
        History.prototype,
        'resume',
        (original) =>
          function* (this: History, channel, after, memory): ReturnType<History['resume']> {
            const backlog = yield* original.call(this, channel, after, memory);
            return backlog && { ...backlog, missing: backlog.missing.filter(({ reason }) => reason !== 'unreadable') };
          },
      ),
  },
  'reports during a snapshot are not sent after it': {
    weaken: () =>
      replace(
        SubscribeReplies.prototype,
        'withLastValues',
        (original) =>
          function (this: SubscribeReplies, subscription) {
            const reply = original.call(this, subscription);
            for (const partition of subscription.channel.partitions) reply.catchUp.position.advance(partition, 2 ** 40);
            return reply;
          },
      ),
  },
  'clients that resume do not get their backlog': {
    weaken: () =>
      replace(
        History.prototype,
        'resume',
        (original) =>
          function* (this: History, channel, after, memory) {
            const backlog = yield* original.call(this, channel, after, memory);
            return backlog && ({ ...backlog, parts: [] } satisfies ResumeBacklog);
          },
      ),
  },
  'a new owner serves before it has recovered': {
    weaken: () =>
      replace(
        Partition.prototype,
        'gain',
        (original) =>
          function (this: Partition, generation, _from, recoveredAt) {
            original.call(this, generation, recoveredAt, recoveredAt);
          },
      ),
  },
  'a slow client does not catch up': {
    weaken: () =>
      replace(
        Backlog.prototype,
        'next',
        () =>
          function* () {
            yield undefined;
            return [];
          },
      ),
  },
  'a standby owner never releases its partitions': {
    weaken: () => replace(Failover.prototype, 'releaseIfServed', () => () => {}),
  },
  'a node that is behind rejects positions ahead of it': {
    weaken: () =>
      replace(
        History.prototype,
        'reach',
        (original) =>
          async function (this: History, channel, after) {
            try {
              await original.call(this, channel, after);
            } catch (thrown) {
              throw new TailraceError('invalid_position', tailraceErrorFrom(thrown).message);
            }
          },
      ),
  },
  'a node is not notified that its lease has expired': {
    weaken: () => {
      const original = Object.getOwnPropertyDescriptor(Interests.prototype, 'streamEpoch')!;
      Object.defineProperty(Interests.prototype, 'streamEpoch', { ...original, get: () => 0 });
      return () => Object.defineProperty(Interests.prototype, 'streamEpoch', original);
    },
  },
  'reports that a slow owner cannot read any more are not sent as missing': {
    weaken: () => replace(Views.prototype, 'publishMissing', () => () => {}),
  },
  'frames of an owner prove that it reads the log': {
    seam: framesAs((frame) => {
      frame.behindMs = 0;
    }),
  },
  'the rest of a snapshot is not sent after a pause': {
    weaken: () =>
      replace(
        Hub.prototype,
        'pause',
        (original) =>
          function (this: Hub, subscription) {
            subscription.snapshot = undefined;
            return original.call(this, subscription);
          },
      ),
  },
  'the position of a loop includes last values that it has not read': {
    weaken: () =>
      replace(
        ClientProgress.prototype,
        'loopReachesReply',
        (original) =>
          function (this: ClientProgress) {
            const passed = original.call(this);
            return () => {
              passed();
              this.loopConsumed([], [], [], true);
            };
          },
      ),
  },
  'clients are sent a position that their reports have not reached': {
    weaken: () =>
      replace(
        Views.prototype,
        'publishMessage',
        (original) =>
          function (this: Views, view, message) {
            const sent = JSON.parse(String(message.frame('json'))) as ServerMessage;
            original.call(this, view, 'progress' in sent ? new SharedMessage(ahead(sent.progress)) : message);
          },
      ),
  },
  'an interruption never stops': {
    weaken: () => replace(SubscriptionRecord.prototype, 'restored', () => () => {}),
  },
};
