import { patternMatches } from '@tailrace/protocol/pattern';

/** One report as a client's listener was called with it. */
export interface Publication {
  readonly device: string;
  readonly partition: number;
  readonly seq: number;
  /** The device's own count: it reports 1, 2, 3 … */
  readonly value: number;
}

/** A range of positions that the client was told it cannot have. */
export interface Named {
  readonly partition: number;
  readonly from: number;
  /** Inclusive. */
  readonly to: number;
}

/** How often something was not as promised. All but `named` must be 0. */
export interface Verdict {
  /** Acknowledged by ingest, never shown, and in no range that the client was told of. */
  lost: number;
  /** Never shown, and the client was told so. */
  named: number;
  doubled: number;
  disordered: number;
  /** Of a device that the subscription does not cover, or never sent. */
  foreign: number;
}

export function noFaults(): Verdict {
  return { lost: 0, named: 0, doubled: 0, disordered: 0, foreign: 0 };
}

/** Faults in words, for who looks closer. */
const findingsMax = 20;

/**
 * What the clients of a run were shown, held against what devices sent. It knows nothing of Tailrace but its promise: every subscription is
 * shown each value of a device from the first it was shown on, once, in order, at growing positions, or is told which range is missing.
 */
export class Checker {
  readonly verdict: Verdict = noFaults();
  readonly findings: string[] = [];
  readonly #watches: Watch[] = [];

  /** A subscription of a client to a channel, which covers these devices. */
  watch(client: string, channel: string, devices: readonly string[]): Watch {
    const watch = new Watch(client, channel, devices, (kind, count, words) => {
      this.verdict[kind] += count;
      if (kind !== 'named' && this.findings.length < findingsMax) this.findings.push(`${client}: ${words}`);
    });
    this.#watches.push(watch);
    return watch;
  }

  /** Nothing more will be shown: what was acknowledged and not shown is lost. `sent` are the last values that were sent at all. */
  end(acknowledged: ReadonlyMap<string, number>, sent: ReadonlyMap<string, number>): void {
    for (const watch of this.#watches) watch.end(acknowledged, sent);
  }
}

interface Track {
  last: number;
  seq: number;
  atMs: number;
  longestMs: number;
  /** Values passed over, with nothing known that would excuse it. */
  readonly skipped: Set<number>;
}

type Found = (kind: keyof Verdict, count: number, words: string) => void;

/** What one subscription was shown. */
export class Watch {
  readonly channel: string;
  readonly devices: readonly string[];
  readonly #client: string;
  readonly #found: Found;
  readonly #tracks = new Map<string, Track>();
  #named: readonly Named[] = [];

  constructor(client: string, channel: string, devices: readonly string[], found: Found) {
    this.#client = client;
    this.channel = channel;
    this.devices = devices;
    this.#found = found;
  }

  /** A listener was called with this report, at this time. */
  shown(report: Publication, atMs: number): void {
    const { device, seq, value } = report;
    if (!patternMatches(this.channel, device)) {
      this.#found('foreign', 1, `${this.channel} was shown ${device}`);
      return;
    }
    const track = this.#tracks.get(device);
    if (track === undefined) {
      this.#tracks.set(device, { last: value, seq, atMs, longestMs: 0, skipped: new Set() });
      return;
    }
    track.longestMs = Math.max(track.longestMs, atMs - track.atMs);
    track.atMs = atMs;
    const words = `${device} showed ${value} at ${seq} after ${track.last} at ${track.seq}`;
    if (track.skipped.delete(value)) {
      // It was counted as lost, and is only late.
      this.#found('lost', -1, words);
      this.#found('disordered', 1, words);
    } else if (value <= track.last) this.#found('doubled', 1, words);
    else if (seq <= track.seq) this.#found('disordered', 1, words);
    else if (value > track.last + 1) this.#passedOver(track, report, words);
    track.last = Math.max(track.last, value);
    track.seq = Math.max(track.seq, seq);
  }

  /** The client was told that it cannot have these. */
  missing(ranges: readonly Named[]): void {
    this.#named = [...this.#named, ...ranges];
  }

  /** The last value that was shown of a device; 0 before the first. */
  last(device: string): number {
    return this.#tracks.get(device)?.last ?? 0;
  }

  /** The longest time between two reports of one of its devices, since `measure`. */
  get longestMs(): number {
    return Math.max(0, ...[...this.#tracks.values()].map((track) => track.longestMs));
  }

  /** Begins to measure anew. A gap that is under way counts from its beginning. */
  measure(): void {
    for (const track of this.#tracks.values()) track.longestMs = 0;
  }

  end(acknowledged: ReadonlyMap<string, number>, sent: ReadonlyMap<string, number>): void {
    for (const device of this.devices) {
      const [last, until, most] = [this.last(device), acknowledged.get(device) ?? 0, sent.get(device) ?? 0];
      if (last < until) this.#found('lost', until - last, `${device} ends at ${last} of ${until} (${this.channel})`);
      if (last > most) this.#found('foreign', last - most, `${device} showed ${last}; it never sent more than ${most}`);
    }
  }

  /** Positions of what was passed over lie between the two that were shown: it is excused where a range that was named reaches in there. */
  #passedOver(track: Track, { partition, seq, value }: Publication, words: string): void {
    const count = value - track.last - 1;
    const isNamed = this.#named.some(
      (range) => range.partition === partition && range.from < seq && range.to > track.seq,
    );
    this.#found(isNamed ? 'named' : 'lost', count, words);
    if (isNamed) return;
    for (let passed = track.last + 1; passed < value; passed++) track.skipped.add(passed);
  }

  toString(): string {
    return `${this.#client} on ${this.channel}`;
  }
}
