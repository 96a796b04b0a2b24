import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Reading } from '@tailrace/protocol/reading';
import type { Report } from '@tailrace/protocol/report';
import type { Source } from './source.ts';
import type { Outbox } from './store/outbox.ts';
import type { LinkState } from './uplink/uplink.ts';

export interface OwnReadingsOptions {
  /** The path of the gateway. */
  readonly device: string;
  readonly outbox: Pick<Outbox, 'state' | 'reports' | 'memoryBytes' | 'storeBytes' | 'losses'>;
  readonly linkState: () => LinkState;
  readonly sources: readonly Source[];
  readonly put: (report: Omit<Report, 'id'>) => void;
  readonly clock: Clock;
}

const everyMs = 10_000;
/** How soon a change of a state is reported. */
const changeMs = 1_000;

/**
 * Reports the gateway itself, every 10 s and within a second of a change of a state: its link, its store, and its
 * sources. Without a link these reports are stored as all others, so that they show later when it was lost.
 */
export class OwnReadings {
  readonly #options: OwnReadingsOptions;
  #timer: Timer | undefined;
  #states = '';
  #reportedMs = Number.NEGATIVE_INFINITY;

  constructor(options: OwnReadingsOptions) {
    this.#options = options;
  }

  start(): void {
    const { clock } = this.#options;
    this.#timer = clock.every(changeMs, () => this.#check());
    this.#check();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #check(): void {
    const { clock, linkState, outbox, sources } = this.#options;
    const states = [linkState(), outbox.state, ...sources.map(({ state }) => state)].join(' ');
    const nowMs = clock.monotonic();
    if (states === this.#states && nowMs - this.#reportedMs < everyMs) return;
    this.#states = states;
    this.#reportedMs = nowMs;
    this.#report();
  }

  #report(): void {
    const { device, outbox, linkState, sources, put, clock } = this.#options;
    const { losses } = outbox;
    const readings: Reading[] = [
      { tag: 'link', value: linkState() },
      { tag: 'store_state', value: outbox.state },
      { tag: 'store_reports', value: outbox.reports, unit: '1' },
      { tag: 'store_bytes', value: outbox.memoryBytes + outbox.storeBytes, unit: 'By' },
      { tag: 'lost_reports', value: losses.reports, unit: '1' },
      { tag: 'lost_readings', value: losses.readings, unit: '1' },
    ];
    for (const { name, state, badTags } of sources) {
      readings.push({ tag: `source.${name}.state`, value: state });
      readings.push({ tag: `source.${name}.bad_tags`, value: badTags, unit: '1' });
    }
    put({ device, time: clock.now(), readings });
  }
}
