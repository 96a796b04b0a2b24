import { codecs } from './codec.ts';
import { measures } from './measures.ts';
import type { Plan } from './plan.ts';
import { Plant } from './plant.ts';
import { ServerClock } from './server-clock.ts';
import { Subscriber } from './subscriber.ts';
import type { Counts } from './tally.ts';

/** How often clients join, and how often they are ticked and their counts reported, ms. */
const joinMs = 100;
const reportMs = 1000;
/** Errors printed, a VU. */
const errorsMax = 3;
const reportedCounts = [
  'reports',
  'frames',
  'gaps',
  'duplicates',
  'invalid',
  'named',
  'repeats',
] as const satisfies (keyof Counts)[];

/** What setup() passes to every VU. */
export interface Run {
  readonly root: string;
  readonly token: string;
  /** When devices start to report, epoch ms by k6's clock. */
  readonly startMs: number;
  /** The servers' clock less k6's, as measured by setup(). */
  readonly offsetMs: number;
}

interface Member {
  readonly subscriber: Subscriber;
  readonly fromMs: number;
  readonly toMs: number | undefined;
  readonly expected: number;
  isStopped: boolean;
}

/**
 * One VU: every `vus`th client, with all their sockets on one event loop. Resolves when each client has received all
 * reports, or its time has passed.
 */
export function watch(plan: Plan, run: Run, vu: number): Promise<void> {
  return new Promise((resolve) => new Watcher(plan, run, vu, resolve).start());
}

class Watcher {
  readonly #plan: Plan;
  readonly #run: Run;
  readonly #clock: ServerClock;
  readonly #members: readonly Member[];
  readonly #onDone: () => void;
  readonly #reported = new Map<keyof Counts, number>();
  #reportAtMs = 0;
  #disconnects = 0;
  #joined = 0;

  constructor(plan: Plan, run: Run, vu: number, onDone: () => void) {
    this.#plan = plan;
    this.#run = run;
    this.#onDone = onDone;
    this.#clock = new ServerClock(() => Date.now(), run.offsetMs);
    this.#members = this.#membersOf(vu);
  }

  start(): void {
    const timer = setInterval(() => {
      const nowMs = Date.now();
      const elapsedMs = nowMs - this.#run.startMs;
      this.#join(elapsedMs);
      if (nowMs < this.#reportAtMs) return;
      this.#reportAtMs = nowMs + reportMs;
      for (const member of this.#members) this.#tick(member, nowMs, elapsedMs);
      if (this.#plan.options.isStorm === true) this.#disconnectWhenDue(elapsedMs);
      this.#reportCounts();
      if (!this.#members.every(({ isStopped }) => isStopped)) return;
      clearInterval(timer);
      this.#reportResults();
      this.#onDone();
    }, joinMs);
  }

  #membersOf(vu: number): readonly Member[] {
    const { settings, vus, latencySample } = this.#plan;
    const { targets, encoding, pingMs, follow, clients, devices, line } = settings;
    const auth = codecs[encoding].encode({ auth: { token: this.#run.token } });
    const options = { targets, auth, encoding, pingMs, follow, latencySample };
    const plant = new Plant(this.#run.root, devices, line);
    const members: Member[] = [];
    for (let client = vu; client < clients; client += vus) {
      const stay = this.#plan.stayOf(client);
      if (stay === undefined) continue;
      const channel = plant.line(client % plant.lines);
      const expected = this.#plan.expectedOf(stay.fromMs, stay.toMs, channel.devices);
      const subscriber = new Subscriber(client, channel, options, this.#clock);
      members.push({ subscriber, ...stay, expected, isStopped: false });
    }
    return members.sort((a, b) => a.fromMs - b.fromMs);
  }

  /** Starts the clients that are due. */
  #join(elapsedMs: number): void {
    for (; this.#joined < this.#members.length; this.#joined++) {
      const { subscriber, fromMs } = this.#members[this.#joined]!;
      if (elapsedMs < fromMs) return;
      subscriber.start();
    }
  }

  #tick(member: Member, nowMs: number, elapsedMs: number): void {
    if (member.isStopped || elapsedMs < member.fromMs) return;
    const { subscriber, toMs } = member;
    subscriber.tick(nowMs);
    if (!subscriber.tally.isComplete && elapsedMs < (toMs ?? this.#plan.lastsMs)) return;
    member.isStopped = true;
    subscriber.stop();
  }

  /** Disconnects all clients at once, at even intervals of the run. */
  #disconnectWhenDue(elapsedMs: number): void {
    const { disconnects, durationMs } = this.#plan.settings;
    const dueMs = (durationMs * (this.#disconnects + 1)) / (disconnects + 1);
    if (this.#disconnects === disconnects || elapsedMs < dueMs) return;
    this.#disconnects++;
    for (const { subscriber, isStopped } of this.#members) if (!isStopped) subscriber.disconnect();
  }

  #reportCounts(): void {
    for (const kind of reportedCounts) {
      let sum = 0;
      for (const { subscriber } of this.#members) sum += subscriber.tally.counts[kind];
      measures[kind].add(sum - (this.#reported.get(kind) ?? 0));
      this.#reported.set(kind, sum);
    }
    measures.clockOffset.add(this.#clock.offsetMs);
  }

  #reportResults(): void {
    let [expected, delivered, undelivered, errors] = [0, 0, 0, 0];
    for (const member of this.#members) {
      const { tally } = member.subscriber;
      expected += member.expected;
      delivered += tally.counts.reports;
      if (member.toMs === undefined) undelivered += tally.devices - tally.counts.finished;
      measures.pause.add(Math.max(0, tally.worstLatencyMs));
      if (tally.firstError !== '' && errors++ < errorsMax) console.error(tally.firstError);
    }
    measures.undelivered.add(undelivered);
    if (expected > 0) measures.throughput.add(delivered / expected);
  }
}
