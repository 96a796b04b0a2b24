import { patternMatches } from '@tailrace/protocol/pattern';
import { DeliveryChecker, DeviceNumbers, type Finding, type MissingRange, MissingRanges } from '../delivery-checker.ts';

/** One report as a client's listener was called with it. */
export interface Publication {
  readonly device: string;
  readonly partition: number;
  readonly seq: number;
  /** The device's own count: it reports 1, 2, 3 … */
  readonly value: number;
}

/** How often something was not as promised. All but `named` must be 0. */
export interface Verdict {
  /** Acknowledged by ingest, never delivered, and in no range that the client was notified of. */
  lost: number;
  /** Never delivered, and the client was notified. */
  named: number;
  doubled: number;
  disordered: number;
  /** Of a device that the subscription does not cover, never sent, or without a counter. */
  invalid: number;
}

export function noViolations(): Verdict {
  return { lost: 0, named: 0, doubled: 0, disordered: 0, invalid: 0 };
}

const verdictOf: Readonly<Record<Finding, keyof Verdict>> = {
  lost: 'lost',
  missing: 'named',
  duplicate: 'doubled',
  outOfOrder: 'disordered',
  invalid: 'invalid',
};

/** Findings kept as text. */
const findingsMax = 20;

/**
 * What the clients of a run received, compared with what devices sent. It knows nothing of Tailrace but its promise:
 * a subscription delivers each report of a device from the first one on, once, in order, at growing positions, or
 * names the range that is missing.
 */
export class Checker {
  readonly verdict: Verdict = noViolations();
  readonly findings: string[] = [];
  readonly #watches: Watch[] = [];

  /** A subscription of a client to a channel, which covers these devices. */
  watch(client: string, channel: string, devices: readonly string[]): Watch {
    const watch = new Watch(client, channel, devices, (kind, count, facts) => {
      this.verdict[kind] += count;
      if (kind !== 'named' && this.findings.length < findingsMax) this.findings.push(`${client}: ${facts}`);
    });
    this.#watches.push(watch);
    return watch;
  }

  /**
   * After the last delivery: what ingest acknowledged and no listener received is lost. `sent` has the last counter
   * that each device sent, acknowledged or not.
   */
  end(acknowledged: ReadonlyMap<string, number>, sent: ReadonlyMap<string, number>): void {
    for (const watch of this.#watches) watch.end(acknowledged, sent);
  }
}

interface Pause {
  atMs: number;
  longestMs: number;
}

type FindingListener = (kind: keyof Verdict, count: number, facts: string) => void;

/** What one subscription received. */
export class Watch {
  readonly channel: string;
  readonly devices: readonly string[];
  readonly #client: string;
  readonly #onFinding: FindingListener;
  readonly #missing = new MissingRanges<number>();
  readonly #numbers = new DeviceNumbers();
  readonly #deliveries: DeliveryChecker;
  /** By device number. */
  readonly #pauses = new Map<number, Pause>();

  constructor(client: string, channel: string, devices: readonly string[], onFinding: FindingListener) {
    this.#client = client;
    this.channel = channel;
    this.devices = devices;
    this.#onFinding = onFinding;
    this.#deliveries = new DeliveryChecker({
      onFinding: (finding, count, facts) => onFinding(verdictOf[finding], count, facts),
      nameOf: (number) => this.#numbers.nameOf(number),
      isRepeatAnError: true,
      counters: { missing: this.#missing, takesBackLost: true },
    });
  }

  /** A listener was called with this report. */
  shown({ device, partition, seq, value }: Publication, atMs: number): void {
    if (!patternMatches(this.channel, device)) {
      this.#onFinding('invalid', 1, `${this.channel}: got ${device}`);
      return;
    }
    const number = this.#numbers.numberOf(device);
    // Devices report while clients subscribe: a live report may take the place of a last value in the snapshot.
    this.#deliveries.deliver(number, partition, seq, value, true);
    const pause = this.#pauses.get(number);
    if (pause === undefined) this.#pauses.set(number, { atMs, longestMs: 0 });
    else {
      pause.longestMs = Math.max(pause.longestMs, atMs - pause.atMs);
      pause.atMs = atMs;
    }
  }

  /** The client was notified that it does not get these positions, of any device. */
  missing(ranges: readonly Omit<MissingRange<never>, 'device'>[]): void {
    this.#missing.add(ranges);
  }

  /** Returns the last counter that was received of a device; 0 before the first. */
  last(device: string): number {
    return this.#deliveries.lastCounter(this.#numbers.numberOf(device));
  }

  /** The longest time between two reports of one of its devices, since `measure`, ms. */
  get longestMs(): number {
    return Math.max(0, ...[...this.#pauses.values()].map(({ longestMs }) => longestMs));
  }

  /** Resets `longestMs`. A pause that lasts counts from its start. */
  measure(): void {
    for (const pause of this.#pauses.values()) pause.longestMs = 0;
  }

  end(acknowledged: ReadonlyMap<string, number>, sent: ReadonlyMap<string, number>): void {
    for (const device of this.devices) {
      const [last, until, most] = [this.last(device), acknowledged.get(device) ?? 0, sent.get(device) ?? 0];
      if (last < until) this.#onFinding('lost', until - last, `${device}: got ${last} of ${until} (${this.channel})`);
      if (last > most) this.#onFinding('invalid', last - most, `${device}: got ${last}, sent at most ${most}`);
    }
  }

  toString(): string {
    return `${this.#client} on ${this.channel}`;
  }
}
