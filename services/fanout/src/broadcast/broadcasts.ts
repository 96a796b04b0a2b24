import type { Bus, BusSubscription } from '@tailrace/bus/bus';
import { tailrace } from '@tailrace/protocol/generated';
import { broadcastSubject, broadcastsSubject } from '../subjects.ts';
import { type BroadcastContent, BroadcastLog } from './broadcastlog.ts';
import { BroadcastOrigin } from './broadcastorigin.ts';

const { Broadcast, BroadcastRequest } = tailrace.v1;

/** What a node announces of its broadcasts. */
export interface BroadcastState {
  readonly era: string;
  /** How many there are of the era. */
  readonly broadcasts: number;
  /** Digest of what the node holds. */
  readonly revocations: number;
}

export interface BroadcastsParts {
  readonly bus: Pick<Bus, 'publish' | 'subscribe' | 'request' | 'serve'>;
  readonly node: string;
  /** Random, of this start of the node. */
  readonly era: string;
  /** Monotonic ms. */
  readonly now: () => number;
  readonly askDeadlineMs: number;
  /** Own broadcasts kept for those who missed them. */
  readonly broadcastsMax: number;
  /** Everything that is revoked, for those who come new. */
  readonly holding: () => readonly tailrace.v1.IRevocation[];
  /** The same for nodes that hold the same. */
  readonly digest: () => number;
  /** Of another node; a list may come again, and must then say nothing new. */
  readonly onBroadcast: (broadcast: tailrace.v1.Broadcast) => void;
}

/** Out of order from one origin; beyond it they are asked for. */
const heldMax = 64;
/** Nodes that are remembered; beyond it the one that was silent longest is forgotten. */
const originsMax = 1_024;
/** An origin is not asked again sooner. */
const askAgainMs = 500;
/** Two nodes that hold different things for so long are no more on the way to the same: the one asks the other for everything, */
const differingMs = 3_000;
/** of one at a time, since the first answer mostly settles it, */
const compareMs = 1_000;
/** and of the same one not sooner: their lists may be full, or their clocks apart. */
const compareAgainMs = 30_000;

const nodeShape = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * From every node to every node (docs/PROTOCOL.md, "Between nodes"): delivered once and in order of their origin. The bus may lose, double and
 * reorder; announcements say how many there are, so that a lost last one shows, and whoever misses some asks the origin for them. A node that is new to
 * this one is asked for all that holds, even if it has said nothing itself: it may know what others said before.
 */
export class Broadcasts {
  readonly counts = { sent: 0, received: 0, foreign: 0, asks: 0, askFailures: 0 };
  readonly #parts: BroadcastsParts;
  readonly #log: BroadcastLog;
  readonly #origins = new Map<string, BroadcastOrigin>();
  #subscriptions: BusSubscription[] = [];
  #stopped = false;
  #comparedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: BroadcastsParts) {
    this.#parts = parts;
    const { node: origin, era, broadcastsMax: keptMax, holding } = parts;
    this.#log = new BroadcastLog({ origin, era, keptMax, holding });
  }

  /** For this node's announcements. */
  get state(): BroadcastState {
    return { era: this.#log.era, broadcasts: this.#log.last, revocations: this.#parts.digest() };
  }

  /** Own broadcasts that are kept. */
  get kept(): number {
    return this.#log.kept;
  }

  async start(): Promise<void> {
    const { bus, node } = this.#parts;
    this.#subscriptions.push(await bus.serve(broadcastsSubject(node), (request) => this.#log.answer(request)));
    this.#subscriptions.push(await bus.subscribe(broadcastSubject, (bytes) => this.#heard(bytes)));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#subscriptions.splice(0).map((subscription) => subscription.stop()));
  }

  /** To all other nodes. Those that do not hear it ask for it when they hear of it. */
  send(content: BroadcastContent): void {
    this.counts.sent++;
    this.#parts.bus.publish(broadcastSubject, this.#log.append(content));
  }

  /** A node says what there is. */
  announced(node: string, { era, broadcasts, revocations }: BroadcastState): void {
    if (era === '' || !this.#isOther(node)) return;
    const origin = this.#originOf(node);
    if (origin.isBehind(era, broadcasts)) void this.#ask(node, origin);
    else this.#compare(node, origin, revocations);
  }

  /** Who said something may have gone before all had heard it. Those that did hear it have it in what they hold. */
  #compare(node: string, origin: BroadcastOrigin, digest: number): void {
    const nowMs = this.#parts.now();
    if (digest === this.#parts.digest()) origin.differsSince = undefined;
    else origin.differsSince ??= nowMs;
    if (origin.differsSince === undefined || nowMs - origin.differsSince < differingMs) return;
    if (nowMs - this.#comparedAt < compareMs || nowMs - origin.comparedAt < compareAgainMs) return;
    this.#comparedAt = nowMs;
    origin.comparedAt = nowMs;
    void this.#ask(node, origin, 0);
  }

  #heard(bytes: Uint8Array): void {
    const broadcast = broadcastFrom(bytes);
    if (broadcast === undefined || broadcast.seq === 0 || !nodeShape.test(broadcast.origin)) this.counts.foreign++;
    else if (this.#isOther(broadcast.origin)) {
      const origin = this.#originOf(broadcast.origin);
      if (origin.take(broadcast)) void this.#ask(broadcast.origin, origin);
    }
  }

  #isOther(node: string): boolean {
    return node !== this.#parts.node && nodeShape.test(node);
  }

  #originOf(node: string): BroadcastOrigin {
    let origin = this.#origins.get(node);
    if (origin === undefined) {
      origin = new BroadcastOrigin(heldMax, (broadcast) => {
        this.counts.received++;
        this.#parts.onBroadcast(broadcast);
      });
      this.#origins.set(node, origin);
    }
    origin.heardAt = this.#parts.now();
    if (this.#origins.size > originsMax) this.#forgetOne(origin);
    return origin;
  }

  #forgetOne(but: BroadcastOrigin): void {
    let oldest: [string, BroadcastOrigin] | undefined;
    for (const each of this.#origins) {
      if (each[1] !== but && (oldest === undefined || each[1].heardAt < oldest[1].heardAt)) oldest = each;
    }
    if (oldest !== undefined) this.#origins.delete(oldest[0]);
  }

  /** Never rejects. What fails is tried again at the node's next announcement. */
  async #ask(node: string, origin: BroadcastOrigin, after = origin.delivered): Promise<void> {
    const { bus, now, askDeadlineMs } = this.#parts;
    if (this.#stopped || origin.asking || now() - origin.askedAt < askAgainMs) return;
    origin.asking = true;
    origin.askedAt = now();
    this.counts.asks++;
    try {
      const request = BroadcastRequest.encode({ era: origin.era, after }).finish();
      const answer = await bus.request(broadcastsSubject(node), request, { deadlineMs: askDeadlineMs });
      const parts = answer.map(broadcastFrom).filter((part) => part?.origin === node) as tailrace.v1.Broadcast[];
      this.counts.foreign += answer.length - parts.length;
      if (!this.#stopped) origin.answered(parts);
    } catch {
      this.counts.askFailures++;
    } finally {
      origin.asking = false;
    }
  }
}

function broadcastFrom(bytes: Uint8Array): tailrace.v1.Broadcast | undefined {
  try {
    const broadcast = Broadcast.decode(bytes);
    return broadcast.era === '' ? undefined : broadcast;
  } catch {
    return undefined;
  }
}
