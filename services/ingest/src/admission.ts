import { type Rights, rightsFrom } from '@tailrace/platform/access';
import type { BodyOwner } from '@tailrace/platform/body-reader';
import type { Claims } from '@tailrace/platform/token';
import { identityOf } from '@tailrace/platform/token-identity';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { IngestSettings } from './config.ts';
import type { Grant } from './reports.ts';

/** An identity, as long as something of it is under way: how much, over all its tokens. */
export class Sender implements BodyOwner {
  readonly key: string;
  /** Under way. */
  requests = 0;
  /** Of its bodies, unpacked, whose reports wait for the log. */
  bytes = 0;
  unfinishedBytes = 0;

  constructor(key: string) {
    this.key = key;
  }
}

/** What a token lets its bearer send. */
export class TokenGrant implements Grant {
  readonly identity: string;
  readonly covers: string;
  readonly #rights: Rights;

  constructor(claims: Claims) {
    this.identity = identityOf(claims);
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

type Limits = Pick<
  IngestSettings,
  | 'inFlightRequestsMax'
  | 'inFlightBytesMax'
  | 'requestsPerTokenMax'
  | 'unverifiedRequestsMax'
  | 'addressUnverifiedRequestsMax'
>;

/**
 * What is under way, within its bounds. A request passes two gates: while the keys of its token are fetched it counts
 * for its address, in a small room of its own (`verify`); then for its sender, in the room of all (`enter`). So nothing
 * that is sent without a token of this server takes room from those who have one. What enters leaves, and what is held
 * is released, once, whatever comes of it.
 */
export class Admission {
  requests = 0;
  /** Bodies, unpacked, whose reports wait for the log. */
  bytes = 0;
  /** Requests whose token waits for keys. */
  unverified = 0;
  readonly #limits: Limits;
  /** By the claims of a token, which are one object as long as the verifier remembers them. */
  readonly #grants = new WeakMap<Claims, TokenGrant>();
  /** By their keys. */
  readonly #senders = new Map<string, Sender>();
  readonly #unverifiedByAddress = new Map<string, number>();

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Under way, of the sender that has most. For metrics. */
  mostOfOneSender(): { readonly requests: number; readonly bytes: number } {
    let [requests, bytes] = [0, 0];
    for (const sender of this.#senders.values()) {
      requests = Math.max(requests, sender.requests);
      bytes = Math.max(bytes, sender.bytes);
    }
    return { requests, bytes };
  }

  /** Waiting for keys, of the address that has most. For metrics. */
  mostUnverifiedOfOneAddress(): number {
    return Math.max(0, ...this.#unverifiedByAddress.values());
  }

  /** Bytes of its bodies that one sender may have under way: half of the room of all. */
  get senderBytesMax(): number {
    return this.#limits.inFlightBytesMax / 2;
  }

  /** Whether more than half of the room is taken. */
  get isNearLimit(): boolean {
    return this.requests > this.#limits.inFlightRequestsMax / 2;
  }

  grantOf(claims: Claims): TokenGrant {
    let grant = this.#grants.get(claims);
    if (grant === undefined) {
      grant = new TokenGrant(claims);
      this.#grants.set(claims, grant);
    }
    return grant;
  }

  /**
   * One more request whose token needs keys that are being fetched; refused with `rate_limited` or `limit_reached`
   * where there is no room.
   */
  verify(address: string): void {
    const { unverifiedRequestsMax, addressUnverifiedRequestsMax } = this.#limits;
    const ofAddress = this.#unverifiedByAddress.get(address) ?? 0;
    if (ofAddress >= addressUnverifiedRequestsMax) {
      const message = `${ofAddress} requests of ${address} wait for the keys of their tokens, the limit of an address: await answers before sending more`;
      throw new TailraceError('rate_limited', message);
    }
    if (this.unverified >= unverifiedRequestsMax)
      throw full(`${this.unverified} requests that wait for the keys of their tokens`);
    this.#unverifiedByAddress.set(address, ofAddress + 1);
    this.unverified++;
  }

  /** The keys are there, or the wait is over. */
  verified(address: string): void {
    this.unverified--;
    const ofAddress = this.#unverifiedByAddress.get(address)! - 1;
    if (ofAddress > 0) this.#unverifiedByAddress.set(address, ofAddress);
    else this.#unverifiedByAddress.delete(address);
  }

  /**
   * One more request of a sender, before its body is read; refused with `rate_limited` where the sender has enough
   * under way, with `limit_reached` where all have.
   */
  enter({ identity: key }: TokenGrant): Sender {
    const { inFlightRequestsMax, inFlightBytesMax, requestsPerTokenMax } = this.#limits;
    const sender = this.#senders.get(key) ?? new Sender(key);
    if (sender.requests >= requestsPerTokenMax) {
      const message = `${sender.requests} requests of this sender are under way, its limit: await answers before sending more`;
      throw new TailraceError('rate_limited', message);
    }
    if (this.requests >= inFlightRequestsMax) throw full(`${this.requests} requests`);
    if (this.bytes >= inFlightBytesMax) throw full(`${this.bytes} bytes`);
    this.requests++;
    if (++sender.requests === 1) this.#senders.set(key, sender);
    return sender;
  }

  leave(sender: Sender): void {
    this.requests--;
    sender.requests--;
    this.#rest(sender);
  }

  /**
   * Its body, once there; refused with `rate_limited` where the sender has half of the room, with `limit_reached` where
   * there is none.
   */
  hold(sender: Sender, bytes: number): void {
    if (sender.bytes > 0 && sender.bytes + bytes > this.senderBytesMax) {
      const message = `${sender.bytes} bytes of this sender are under way, half of what the server takes: await answers before sending more`;
      throw new TailraceError('rate_limited', message);
    }
    if (this.bytes + bytes > this.#limits.inFlightBytesMax) throw full(`${this.bytes} bytes`);
    this.bytes += bytes;
    sender.bytes += bytes;
  }

  /** The log has let go of it, or never had it. */
  release(sender: Sender, bytes: number): void {
    this.bytes -= bytes;
    sender.bytes -= bytes;
    this.#rest(sender);
  }

  #rest(sender: Sender): void {
    if (sender.requests === 0 && sender.bytes === 0) this.#senders.delete(sender.key);
  }
}

function full(what: string): TailraceError {
  const message = `the server has ${what} under way, its limit; nothing of this request was taken: try again later`;
  return new TailraceError('limit_reached', message, { retryable: true });
}
