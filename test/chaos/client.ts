import type { Delivery } from '@tailrace/client/report';
import { createStream, type Stream } from '@tailrace/client/stream';
import type { Checker, Watch } from './checker.ts';

/** The subscriptions of one client, and the devices that they cover. Pauses are measured on the first device. */
export interface ClientPlan {
  readonly name: string;
  readonly subscriptions: readonly { readonly channel: string; readonly devices: readonly string[] }[];
}

/** Settings of a monitoring screen. */
export const screenTimes = { pingMs: 1_000, deadlineMs: 3_000 };

/** What one client observed of one fault. */
export interface Seen {
  /** The node that served it when the fault started; empty: none. */
  readonly node: string;
  /** The node that serves it now. */
  readonly nodeNow: string;
  /** Whether its connection was lost. */
  readonly hit: boolean;
  /** How often it went to another node without losing its connection. */
  readonly moves: number;
  /** Reports received, of all its subscriptions. */
  readonly reports: number;
  /** The longest time between two reports of a device, ms. */
  readonly longestMs: number;
  /**
   * If it was hit: from the fault until it was live again, and until it received a report that was appended after the
   * fault, ms.
   */
  readonly liveAfterMs: number | undefined;
  readonly shownAfterMs: number | undefined;
}

/** One SDK client, as on a screen, and what it observes. */
export class ChaosClient {
  /** Why connections were lost, and how often, since `startFault`. */
  readonly losses = new Map<string, number>();
  readonly #watches: readonly Watch[];
  readonly #stream: Stream;
  readonly #subscriptions: readonly { readonly dropped: number }[];
  #startedAtMs = 0;
  #node = '';
  #nodeAtStart = '';
  #counterAtStart = 0;
  #hit = false;
  #moves = 0;
  #reports = 0;
  #liveAtMs: number | undefined;
  #shownAtMs: number | undefined;

  constructor(plan: ClientPlan, checker: Checker, place: { url: readonly string[]; token: string }) {
    this.#stream = createStream({ ...place, ...screenTimes });
    this.#stream.onState((state) => {
      if (state.name === 'live') {
        if (this.#node !== '' && this.#node !== state.node) this.#moves++;
        this.#node = state.node;
        if (this.#hit) this.#liveAtMs = Date.now();
      } else if (state.name === 'waiting' || state.name === 'closed') {
        this.#node = '';
        this.#hit = true;
        this.#liveAtMs = undefined;
        const why = `${state.loss.code} ${state.loss.message}`;
        this.losses.set(why, (this.losses.get(why) ?? 0) + 1);
      }
    });
    this.#watches = plan.subscriptions.map(({ channel, devices }) => checker.watch(plan.name, channel, devices));
    this.#subscriptions = this.#watches.map((watch) => {
      const take = (reports: readonly Delivery[]) => this.#take(watch, reports);
      return this.#stream.subscribe(watch.channel, {
        onSnapshot: take,
        onReports: take,
        onState: (state) => {
          if (state.name === 'live' && state.missing !== undefined) watch.missing(state.missing);
          if (state.name === 'failed') {
            const why = `subscription refused: ${state.error.code}`;
            this.losses.set(why, (this.losses.get(why) ?? 0) + 1);
          }
        },
      });
    });
  }

  /** A fault starts. */
  startFault(atMs: number, acknowledged: ReadonlyMap<string, number>): void {
    this.#startedAtMs = atMs;
    this.#nodeAtStart = this.#node;
    this.#counterAtStart = acknowledged.get(this.#device) ?? 0;
    this.#hit = false;
    this.#moves = 0;
    this.#reports = 0;
    this.#liveAtMs = undefined;
    this.#shownAtMs = undefined;
    this.losses.clear();
    for (const watch of this.#watches) watch.measure();
  }

  /** Whether it is live, and every subscription has received these counters. */
  hasReached(targets: ReadonlyMap<string, number>): boolean {
    return (
      this.#stream.state.name === 'live' &&
      this.#watches.every((watch) => watch.devices.every((device) => watch.last(device) >= (targets.get(device) ?? 0)))
    );
  }

  /** For the message if it does not reach them. */
  describe(targets: ReadonlyMap<string, number>): string {
    const behind = this.#watches.flatMap((watch) =>
      watch.devices
        .filter((device) => watch.last(device) < (targets.get(device) ?? 0))
        .map((device) => `${device} at ${watch.last(device)} of ${targets.get(device)}`),
    );
    return `${this.#watches[0]!} is ${this.#stream.state.name} on ${this.#node || 'no node'}; ${behind.slice(0, 3).join(', ')}`;
  }

  seen(): Seen {
    const after = (atMs: number | undefined) => (atMs === undefined ? undefined : atMs - this.#startedAtMs);
    return {
      node: this.#nodeAtStart,
      nodeNow: this.#node,
      hit: this.#hit,
      moves: this.#moves,
      reports: this.#reports,
      longestMs: Math.max(...this.#watches.map((watch) => watch.longestMs)),
      liveAfterMs: after(this.#liveAtMs),
      shownAfterMs: after(this.#shownAtMs),
    };
  }

  /** Reports that the SDK dropped as delivered before. */
  get dropped(): number {
    return this.#subscriptions.reduce((sum, { dropped }) => sum + dropped, 0);
  }

  close(): void {
    this.#stream.close();
  }

  get #device(): string {
    return this.#watches[0]!.devices[0]!;
  }

  #take(watch: Watch, reports: readonly Delivery[]): void {
    const nowMs = Date.now();
    this.#reports += reports.length;
    for (const { device, partition, seq, readings } of reports) {
      const value = Number(readings[0]?.value);
      watch.shown({ device, partition, seq, value }, nowMs);
      if (this.#liveAtMs !== undefined && device === this.#device && value > this.#counterAtStart) {
        this.#shownAtMs ??= nowMs;
      }
    }
  }
}
