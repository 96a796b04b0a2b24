import { batch, computed, type ReadonlySignal, type Signal, signal } from '@preact/signals';
import type { Delivery } from '@tailrace/client/report';
import type { StreamState, SubscriptionState } from '@tailrace/client/state';
import { createStream, type Stream } from '@tailrace/client/stream';
import type { Presence, Subscription } from '@tailrace/client/subscription';
import { pageRequests } from './device-list-api.ts';
import { type Device, Fleet } from './fleet.ts';
import { FleetList } from './fleet-list.ts';
import { History } from './history.ts';
import { HistoryReplay } from './history-replay.ts';
import { type ListState, listStateFrom, worstOf } from './list-state.ts';
import { loadPageConfig, type PageConfig } from './page-config.ts';
import { claimsFrom, type TokenClaims } from './token-claims.ts';
import { VisibleDevices } from './visible-devices.ts';

/** Values change at most this often, ms: faster is not readable. Charts do not wait for it. */
const showEveryMs = 100;
/** Ages are updated this often, ms. */
const tickMs = 250;

/** The page's one connection, the data that it received, and what of that is shown. */
export class Live {
  /** Which devices there are. */
  readonly list: FleetList;
  /** The visible devices and the selected one. */
  readonly fleet = new Fleet();
  readonly history = new History();
  /** Undefined: the page has not loaded the URLs to connect to. */
  readonly connection: Signal<StreamState | undefined> = signal(undefined);
  /** Why the page could not load the URLs to connect to. */
  readonly configError: Signal<string | undefined> = signal(undefined);
  readonly listState: ReadonlySignal<ListState>;
  readonly deviceState: Signal<SubscriptionState> = signal({ name: 'waiting' });
  readonly roundTripMs: Signal<number | undefined> = signal(undefined);
  /** The server's clock, a few times a second. */
  readonly nowMs: Signal<number> = signal(Date.now());
  /** When ingest received the newest report of the visible devices; undefined before the first. */
  readonly newestMs: Signal<number | undefined> = signal(undefined);
  readonly #visible: VisibleDevices;
  readonly #historyReplay: HistoryReplay;
  /** States of visible devices whose subscription is not live. */
  readonly #visibleErrors = new Map<string, ListState>();
  readonly #visibleState: Signal<ListState> = signal({ name: 'live' });
  /** Undefined: the page has not loaded the URLs to connect to. */
  readonly stream: Signal<Stream | undefined> = signal(undefined);
  /** The last one that was loaded. */
  readonly config: Signal<PageConfig | undefined> = signal(undefined);
  /** Of its token; undefined: they are not known. */
  readonly claims: ReadonlySignal<TokenClaims | undefined>;
  #chosen: Subscription | undefined;
  #dirty = new Set<Device>();
  #shownMs = 0;

  constructor() {
    const timers = {
      now: () => performance.now(),
      after: (ms: number, call: () => void) => {
        const timer = setTimeout(call, ms);
        return { cancel: () => clearTimeout(timer) };
      },
    };
    const requestPage = pageRequests({ config: () => this.config.value, renewToken: () => this.renewToken() });
    this.list = new FleetList({ ...timers, requestPage });
    this.#visible = new VisibleDevices({
      ...timers,
      subscribe: (path) => this.#subscribe(this.stream.value!, path, (state) => this.#visibleChanged(path, state)),
      onGone: (path) => this.#gone(path),
    });
    this.#historyReplay = new HistoryReplay({
      ...timers,
      replay: (path, from, onState) => this.#replay(this.stream.value!, path, from, onState),
    });
    const token = computed(() => this.config.value?.token ?? '');
    this.claims = computed(() => claimsFrom(token.value));
    this.listState = computed(() =>
      listStateFrom({
        visible: this.#visibleState.value,
        device: this.deviceState.value,
        isComplete: this.list.isComplete.value,
        error: this.list.error.value,
      }),
    );
  }

  /** Connects, and stays connected. */
  async start(): Promise<void> {
    setInterval(() => this.#tick(), tickMs);
    addEventListener('online', () => this.reconnect());
    document.addEventListener('visibilitychange', () => this.list.show(document.visibilityState === 'visible'));
    await this.#connect();
  }

  /** The server's current time, epoch ms. */
  serverNow(): number {
    return this.stream.value?.serverNow() ?? Date.now();
  }

  get isLive(): boolean {
    return this.connection.value?.name === 'live';
  }

  /** Connects now, because the user asked for it. */
  reconnect(): void {
    if (this.stream.value === undefined) {
      // Reads the list once the servers are known.
      void this.#connect();
      return;
    }
    this.stream.value.reconnect();
    void this.list.check();
  }

  /** Subscribes to the selected device, visible in the list or not. `windowFromMs`: where its charts start. */
  choose(device: string | undefined, windowFromMs: () => number): void {
    if (this.stream.value !== undefined) this.#historyReplay.show(device, windowFromMs);
    const before = this.#chosen?.channel;
    if (before === device) return;
    this.#chosen?.unsubscribe();
    this.#chosen = undefined;
    if (before !== undefined && !this.#visible.has(before)) this.#drop(before);
    this.deviceState.value = { name: 'waiting' };
    if (device === undefined || this.stream.value === undefined) return;
    this.#chosen = this.#subscribe(this.stream.value, device, (state) => {
      if (state.name !== 'ended') this.deviceState.value = state;
    });
    this.history.view(device);
  }

  /** Subscribes to the devices whose rows are visible, and to no others. */
  setVisible(paths: readonly string[]): void {
    if (this.stream.value !== undefined) this.#visible.show(paths);
  }

  /** Called once a frame of the screen: shows the reports received since the last time. */
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
    return this.config.value?.ingestUrl ?? '';
  }

  async #connect(): Promise<void> {
    const answer = await loadPageConfig();
    this.configError.value = 'error' in answer ? answer.error : undefined;
    if ('error' in answer) return;
    this.config.value = answer.config;
    // A second call may have been quicker.
    if (this.stream.value !== undefined) return;
    const stream = createStream({ url: this.config.value.streamUrls, token: () => this.renewToken() });
    this.stream.value = stream;
    this.connection.value = stream.state;
    stream.onState((state) => {
      const isBack = !this.isLive && state.name === 'live';
      this.connection.value = state;
      this.#tick();
      if (isBack) void this.list.check();
    });
    void this.list.check();
  }

  /** Loaded before every attempt, since it may have changed; where the server does not answer, the last one is used. */
  async renewToken(): Promise<string> {
    const answer = await loadPageConfig();
    if ('config' in answer) this.config.value = answer.config;
    return this.config.value?.token ?? '';
  }

  #subscribe(stream: Stream, channel: string, onState: (state: SubscriptionState) => void): Subscription {
    const take = (reports: readonly Delivery[]) => this.#take(reports);
    const onPresence = ({ device, state }: Presence) => {
      const changed = this.fleet.setPresence(device, state);
      if (changed !== undefined) this.#dirty.add(changed);
    };
    return stream.subscribe(channel, { onSnapshot: take, onReports: take, onPresence, onState });
  }

  #replay(stream: Stream, channel: string, from: number, onState: (state: SubscriptionState) => void): Subscription {
    const skewMs = () => this.fleet.devices.get(channel)?.skewMs ?? 0;
    return stream.subscribe(channel, {
      from,
      snapshot: false,
      onReports: (reports) => {
        for (const report of reports) this.history.addOlder(report, skewMs());
      },
      // Not within the subscription's own callback.
      onState: (state) => queueMicrotask(() => onState(state)),
    });
  }

  #visibleChanged(path: string, state: SubscriptionState): void {
    const known = this.#visibleErrors.has(path);
    if (state.name === 'interrupted') this.#visibleErrors.set(path, { name: 'interrupted', since: state.since });
    else if (state.name === 'failed') this.#visibleErrors.set(path, state);
    else if (known) this.#visibleErrors.delete(path);
    else return;
    this.#visibleState.value = worstOf(this.#visibleErrors.values());
  }

  #drop(path: string): void {
    this.fleet.drop(path);
    this.newestMs.value = this.fleet.newestMs;
  }

  #gone(path: string): void {
    if (this.#visibleErrors.delete(path)) this.#visibleState.value = worstOf(this.#visibleErrors.values());
    if (this.#chosen?.channel !== path) this.#drop(path);
  }

  #take(reports: readonly Delivery[]): void {
    const nowMs = this.serverNow();
    batch(() => {
      for (const report of reports) {
        const device = this.fleet.take(report, nowMs);
        if (device === undefined) continue;
        this.list.add(report.device);
        this.history.add(report, device.skewMs);
        this.#dirty.add(device);
      }
    });
  }

  #tick(): void {
    batch(() => {
      this.nowMs.value = this.serverNow();
      this.roundTripMs.value = this.stream.value?.roundTripMs;
    });
  }
}
