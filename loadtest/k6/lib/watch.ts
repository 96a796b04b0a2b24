import { codecs } from './codec.ts';
import { measures } from './measures.ts';
import type { Plan } from './plan.ts';
import { Plant } from './plant.ts';
import { ServerClock } from './server-clock.ts';
import { Subscriber } from './subscriber.ts';
import type { Counts } from './tally.ts';

/** How often is looked who is to come; and to every member, and what they count. */
const joinMs = 100;
const tellMs = 1000;
/** Faults put in words, a VU. */
const faultsMax = 3;
const counted = [
  'reports',
  'frames',
  'gaps',
  'duplicates',
  'foreign',
  'named',
  'repeats',
] as const satisfies (keyof Counts)[];

/** What setup() hands to every VU. */
export interface Run {
  readonly root: string;
  readonly token: string;
  /** When devices begin to report, epoch ms by k6's clock. */
  readonly beginMs: number;
  /** The servers' clock less ours, as measured at the start. */
  readonly offsetMs: number;
}

interface Member {
  readonly subscriber: Subscriber;
  readonly fromMs: number;
  readonly toMs: number | undefined;
  readonly expected: number;
  isOver: boolean;
}

/** One VU: every `vus`th client, all their sockets on one event loop. Resolves when all have been shown everything, or their time is over. */
export function watch(plan: Plan, run: Run, vu: number): Promise<void> {
  return new Promise((resolve) => new Watcher(plan, run, vu, resolve).start());
}

class Watcher {
  readonly #plan: Plan;
  readonly #run: Run;
  readonly #clock: ServerClock;
  readonly #members: readonly Member[];
  readonly #done: () => void;
  readonly #told = new Map<keyof Counts, number>();
  #tellAtMs = 0;
  #cuts = 0;
  #joined = 0;

  constructor(plan: Plan, run: Run, vu: number, done: () => void) {
    this.#plan = plan;
    this.#run = run;
    this.#done = done;
    this.#clock = new ServerClock(() => Date.now(), run.offsetMs);
    this.#members = this.#membersOf(vu);
  }

  start(): void {
    const timer = setInterval(() => {
      const nowMs = Date.now();
      const elapsedMs = nowMs - this.#run.beginMs;
      this.#join(elapsedMs);
      if (nowMs < this.#tellAtMs) return;
      this.#tellAtMs = nowMs + tellMs;
      for (const member of this.#members) this.#tick(member, nowMs, elapsedMs);
      if (this.#plan.options.isStorm === true) this.#cutWhereDue(elapsedMs);
      this.#tell();
      if (!this.#members.every(({ isOver }) => isOver)) return;
      clearInterval(timer);
      this.#tellLast();
      this.#done();
    }, joinMs);
  }

  #membersOf(vu: number): readonly Member[] {
    const { settings, vus, latencySample } = this.#plan;
    const { targets, encoding, pingMs, follow, clients, devices, line } = settings;
    const auth = codecs[encoding].encode({ auth: { token: this.#run.token } });
    const place = { targets, auth, encoding, pingMs, follow, latencySample };
    const plant = new Plant(this.#run.root, devices, line);
    const members: Member[] = [];
    for (let client = vu; client < clients; client += vus) {
      const stay = this.#plan.stayOf(client);
      if (stay === undefined) continue;
      const channel = plant.line(client % plant.lines);
      const expected = this.#plan.expectedOf(stay.fromMs, stay.toMs, channel.devices);
      const subscriber = new Subscriber(client, channel, place, this.#clock);
      members.push({ subscriber, ...stay, expected, isOver: false });
    }
    return members.sort((a, b) => a.fromMs - b.fromMs);
  }

  /** Whose time has come. */
  #join(elapsedMs: number): void {
    for (; this.#joined < this.#members.length; this.#joined++) {
      const { subscriber, fromMs } = this.#members[this.#joined]!;
      if (elapsedMs < fromMs) return;
      subscriber.start();
    }
  }

  #tick(member: Member, nowMs: number, elapsedMs: number): void {
    if (member.isOver || elapsedMs < member.fromMs) return;
    const { subscriber, toMs } = member;
    subscriber.tick(nowMs);
    if (!subscriber.tally.isComplete && elapsedMs < (toMs ?? this.#plan.lastsMs)) return;
    member.isOver = true;
    subscriber.end();
  }

  /** All at once, at even times within the middle of the run. */
  #cutWhereDue(elapsedMs: number): void {
    const { cuts, durationMs } = this.#plan.settings;
    if (this.#cuts === cuts || elapsedMs < (durationMs * (this.#cuts + 1)) / (cuts + 1)) return;
    this.#cuts++;
    for (const { subscriber, isOver } of this.#members) if (!isOver) subscriber.cut();
  }

  #tell(): void {
    for (const kind of counted) {
      let sum = 0;
      for (const { subscriber } of this.#members) sum += subscriber.tally.counts[kind];
      measures[kind].add(sum - (this.#told.get(kind) ?? 0));
      this.#told.set(kind, sum);
    }
    measures.clockOffset.add(this.#clock.offsetMs);
  }

  #tellLast(): void {
    let [expected, shown, undelivered, faults] = [0, 0, 0, 0];
    for (const member of this.#members) {
      const { tally } = member.subscriber;
      expected += member.expected;
      shown += tally.counts.reports;
      if (member.toMs === undefined) undelivered += tally.devices - tally.counts.finished;
      measures.pause.add(Math.max(0, tally.worstLatencyMs));
      if (tally.firstError !== '' && faults++ < faultsMax) console.error(tally.firstError);
    }
    measures.undelivered.add(undelivered);
    if (expected > 0) measures.throughput.add(shown / expected);
  }
}
