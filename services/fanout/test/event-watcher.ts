import { positionsFromToken, tokenFromPositions } from '@tailrace/protocol/position';
import { serverMessageFromJson } from '@tailrace/protocol/server-message';
import type { EventSubscriber, EventSubscription, EventSubscriptionStart } from '../src/events/event-subscription.ts';
import type { ClusterNode } from './cluster.ts';

export interface SeenAlarm {
  readonly device: string;
  readonly number: number;
  readonly seq: number | undefined;
}

/** A client of the hub of events with one subscription, which is always writable. Resumes if it is refused. */
export class EventWatcher implements EventSubscriber {
  readonly encoding = 'json';
  readonly name: string;
  readonly snapshot: SeenAlarm[] = [];
  readonly live: SeenAlarm[] = [];
  /** Of commands, in order. */
  readonly states: string[] = [];
  readonly errors: string[] = [];
  start: EventSubscriptionStart | undefined;
  readonly #node: ClusterNode;
  readonly #startedAt: ReadonlyMap<string, number>;
  readonly #subscription: EventSubscription;

  /** `numbers`: the last transition of each device at the start. Default: alarms, not commands. */
  constructor(
    node: ClusterNode,
    options: {
      readonly channel: string;
      readonly commands?: boolean;
      readonly after?: string | undefined;
      readonly numbers?: ReadonlyMap<string, number>;
    },
  ) {
    const { channel, commands = false, after, numbers = new Map() } = options;
    this.name = node.name;
    this.#node = node;
    this.#startedAt = numbers;
    const request = {
      ...{ id: 'e', channel, snapshot: true, alarms: !commands, commands },
      ...(after === undefined ? {} : { after: positionsFromToken(after) }),
    };
    this.#subscription = node.eventHub.subscribe(this, request, (error) => this.errors.push(error.message));
  }

  numbers(device: string): number[] {
    return [...this.snapshot, ...this.live].filter((seen) => seen.device === device).map(({ number }) => number);
  }

  /** The last transition of a device when the client subscribed. */
  startedAt(device: string): number | undefined {
    return this.#startedAt.get(device);
  }

  /** Disconnects. Returns its position token, as a client computes it. */
  disconnect(): string {
    this.#node.eventHub.unsubscribe(this.#subscription);
    return this.start?.position ?? '';
  }

  sendHead(_subscription: EventSubscription, start: EventSubscriptionStart): void {
    this.start = start;
  }

  send(frame: string | Uint8Array): void {
    const message = serverMessageFromJson(String(frame));
    if (message === undefined) return;
    if ('alarm' in message) {
      for (const { partition, seq, transition } of message.alarm.events) {
        if (transition === undefined) continue;
        const { device, number } = transition;
        (message.alarm.snapshot ? this.snapshot : this.live).push({ device, number, seq });
        if (seq !== undefined && !message.alarm.snapshot) this.#received(partition, seq);
      }
    }
    if ('command' in message) this.states.push(...message.command.events.map(({ transition }) => transition.state));
  }

  sendData(frame: string | Uint8Array): void {
    this.send(frame);
  }

  whenWritable(): undefined {
    return undefined;
  }

  join(topic: string): void {
    this.#node.watchTopic(topic, this);
  }

  leave(topic: string): void {
    this.#node.unwatchTopic(topic, this);
  }

  endAsTooSlow(): void {
    this.errors.push('too slow');
  }

  receive(frame: string | Uint8Array): void {
    this.send(frame);
  }

  #received(partition: number, seq: number): void {
    if (this.start === undefined) return;
    const positions = positionsFromToken(this.start.position);
    positions.advance(partition, seq);
    this.start = { ...this.start, position: tokenFromPositions(positions) };
  }
}
