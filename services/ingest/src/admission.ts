import { type Rights, rightsFrom } from '@tailrace/platform/access';
import type { Claims } from '@tailrace/platform/token';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { IngestSettings } from './config.ts';
import type { Grant } from './reports.ts';

/** Whoever holds a token: what it may send, and what of it is under way. */
export class Sender implements Grant {
  readonly covers: string;
  /** Under way. */
  requests = 0;
  readonly #rights: Rights;

  constructor(claims: Claims) {
    this.#rights = rightsFrom(claims.publish);
    this.covers = coversText(claims);
  }

  /** Remembers its answers, a bounded number of them. */
  allowsDevice(path: string): boolean {
    return this.#rights.allowsDevice(path);
  }
}

const shownPatternsMax = 5;

function coversText({ subject, publish }: Claims): string {
  const whose = `the token of ${shown(subject)}`;
  if (publish.length === 0) return `${whose} may publish nothing; right is one with the claim publish`;
  const more = publish.length > shownPatternsMax ? ` and ${publish.length - shownPatternsMax} more` : '';
  return `${whose} may publish ${publish.slice(0, shownPatternsMax).join(', ')}${more}`;
}

type Limits = Pick<IngestSettings, 'inFlightRequestsMax' | 'inFlightBytesMax' | 'requestsPerTokenMax'>;

/** What is under way, within its bounds. Whoever enters leaves, whoever holds releases, once, whatever came of it. */
export class Admission {
  requests = 0;
  /** Bodies, unpacked, whose reports wait for the log. */
  bytes = 0;
  readonly #limits: Limits;
  /** By the claims of a token, which are one object as long as the verifier remembers them. */
  readonly #senders = new WeakMap<Claims, Sender>();
  /** With something under way. */
  readonly #busy = new Set<Sender>();
  #emptied: (() => void) | undefined;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Under way, of the token that has most. For metrics. */
  mostOfOneToken(): number {
    let most = 0;
    for (const { requests } of this.#busy) most = Math.max(most, requests);
    return most;
  }

  senderOf(claims: Claims): Sender {
    let sender = this.#senders.get(claims);
    if (sender === undefined) {
      sender = new Sender(claims);
      this.#senders.set(claims, sender);
    }
    return sender;
  }

  /** One more request; refused with `limit_reached` where there is no room. Before its body is read. */
  enter(): void {
    const { inFlightRequestsMax, inFlightBytesMax } = this.#limits;
    if (this.requests >= inFlightRequestsMax) throw full(`${this.requests} requests`);
    if (this.bytes >= inFlightBytesMax) throw full(`${this.bytes} bytes`);
    this.requests++;
  }

  /** Its sender, once known; refused with `rate_limited` where that one has enough under way. */
  enterFor(sender: Sender): void {
    const { requestsPerTokenMax } = this.#limits;
    if (sender.requests >= requestsPerTokenMax) {
      const message = `${sender.requests} requests of this token are under way, its limit: await answers before sending more`;
      throw new TailraceError('rate_limited', message);
    }
    if (++sender.requests === 1) this.#busy.add(sender);
  }

  /** Its body, once there; refused with `limit_reached` where there is no room. */
  hold(bytes: number): void {
    if (this.bytes + bytes > this.#limits.inFlightBytesMax) throw full(`${this.bytes} bytes`);
    this.bytes += bytes;
  }

  /** The log has let go of it, or never had it. */
  release(bytes: number): void {
    this.bytes -= bytes;
  }

  leave(sender: Sender | undefined): void {
    this.requests--;
    if (sender !== undefined && --sender.requests === 0) this.#busy.delete(sender);
    if (this.requests === 0) this.#emptied?.();
  }

  /** Resolves when nothing is under way any more. */
  async empty(): Promise<void> {
    if (this.requests === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#emptied = resolve;
    await promise;
  }
}

function full(what: string): TailraceError {
  const message = `the server has ${what} under way, its limit; nothing of this request was taken: try again later`;
  return new TailraceError('limit_reached', message, { retryable: true });
}
