import { batch, type Signal, signal } from '@preact/signals';
import type { Delivery } from '@tailrace/client/report';
import type { StreamState, SubscriptionState } from '@tailrace/client/state';
import { createStream, type Stream } from '@tailrace/client/stream';
import type { Subscription } from '@tailrace/client/subscription';
import { type Device, Fleet } from './fleet.ts';
import { History } from './history.ts';
import { loadPageConfig, type PageConfig } from './pageconfig.ts';

/** What is shown changes at most this often, ms: more nobody can read. Charts do not wait for it. */
const showEveryMs = 100;
/** Ages are looked at this often, ms. */
const tickMs = 250;

/** The page's one connection, everything that came over it, and what of that is shown. */
export class Live {
  readonly fleet = new Fleet();
  readonly history = new History();
  /** Undefined: the page does not yet know where to connect to. */
  readonly connection: Signal<StreamState | undefined> = signal(undefined);
  /** Why the page does not know where to connect to. */
  readonly configFault: Signal<string | undefined> = signal(undefined);
  readonly listState: Signal<SubscriptionState> = signal({ name: 'waiting' });
  readonly deviceState: Signal<SubscriptionState> = signal({ name: 'waiting' });
  readonly roundTripMs: Signal<number | undefined> = signal(undefined);
  /** The server's clock, a few times a second. */
  readonly nowMs: Signal<number> = signal(Date.now());
  /** When ingest had the newest report of all; undefined before the first. */
  readonly newestMs: Signal<number | undefined> = signal(undefined);
  #stream: Stream | undefined;
  #config: PageConfig | undefined;
  #chosen: Subscription | undefined;
  #dirty = new Set<Device>();
  #shownMs = 0;
  #lostMs = Date.now();

  /** Connects, and stays connected. */
  async start(): Promise<void> {
    setInterval(() => this.#tick(), tickMs);
    addEventListener('online', () => this.reconnect());
    await this.#connect();
  }

  /** The server's clock at this moment, epoch ms. */
  serverNow(): number {
    return this.#stream?.serverNow() ?? Date.now();
  }

  /**
   * Until when something could have been heard: now, or when the connection was lost, or when the server stopped
   * reading some of the devices' reports. Who was silent then is silent; who was not is not blamed for what the
   * connection or the server does.
   */
  get heardUntilMs(): number {
    const list = this.listState.value;
    if (!this.isLive) return this.#lostMs;
    return list.name === 'interrupted' ? list.since : this.serverNow();
  }

  get isLive(): boolean {
    return this.connection.value?.name === 'live';
  }

  /** Now, because somebody asked for it. */
  reconnect(): void {
    if (this.#stream === undefined) void this.#connect();
    else this.#stream.reconnect();
  }

  /** Subscribes to the device that is looked at, and to no other. */
  choose(device: string | undefined): void {
    if (this.#chosen?.channel === device) return;
    this.#chosen?.unsubscribe();
    this.#chosen = undefined;
    if (device === undefined || this.#stream === undefined) return;
    this.deviceState.value = { name: 'waiting' };
    this.#chosen = this.#subscribe(this.#stream, device, this.deviceState);
    this.history.view(device);
  }

  /** Once a frame of the screen: lets what came since the last time be shown. */
  show(timeMs: number): void {
    if (this.#dirty.size === 0 || timeMs - this.#shownMs < showEveryMs) return;
    this.#shownMs = timeMs;
    const dirty = this.#dirty;
    this.#dirty = new Set();
    batch(() => {
      for (const device of dirty) device.revision.value++;
      this.newestMs.value = this.fleet.newestMs;
    });
  }

  /** Where devices send their reports; empty while that is not known. */
  get ingestUrl(): string {
    return this.#config?.ingestUrl ?? '';
  }

  async #connect(): Promise<void> {
    const answer = await loadPageConfig();
    this.configFault.value = 'fault' in answer ? answer.fault : undefined;
    if ('fault' in answer) return;
    this.#config = answer.config;
    // A second call may have been quicker.
    if (this.#stream !== undefined) return;
    const stream = createStream({ url: this.#config.streamUrl, token: () => this.#token() });
    this.#stream = stream;
    this.connection.value = stream.state;
    stream.onState((state) => {
      if (this.isLive && state.name !== 'live') this.#lostMs = this.serverNow();
      this.connection.value = state;
      this.#tick();
    });
    this.#subscribe(stream, '>', this.listState);
  }

  /** Asked for before every attempt, since it may have changed; where the server cannot be asked, the one known is tried. */
  async #token(): Promise<string> {
    const answer = await loadPageConfig();
    if ('config' in answer) this.#config = answer.config;
    return this.#config?.token ?? '';
  }

  #subscribe(stream: Stream, channel: string, state: Signal<SubscriptionState>): Subscription {
    const take = (reports: readonly Delivery[]) => this.#take(reports);
    return stream.subscribe(channel, {
      onSnapshot: take,
      onReports: take,
      onState: (next) => {
        if (next.name !== 'ended') state.value = next;
      },
    });
  }

  #take(reports: readonly Delivery[]): void {
    const nowMs = this.serverNow();
    batch(() => {
      for (const report of reports) {
        const device = this.fleet.take(report, nowMs);
        if (device === undefined) continue;
        this.history.add(report, device.skewMs);
        this.#dirty.add(device);
      }
    });
  }

  #tick(): void {
    batch(() => {
      this.nowMs.value = this.serverNow();
      this.roundTripMs.value = this.#stream?.roundTripMs;
    });
  }
}
