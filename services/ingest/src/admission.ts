import { type Rights, rightsFrom } from '@tailrace/platform/access';
import type { BodyOwner } from '@tailrace/platform/body-reader';
import { HashSet } from '@tailrace/platform/hash-set';
import { TextHash } from '@tailrace/platform/text-hash';
import type { Claims } from '@tailrace/platform/token';
import { identityOf } from '@tailrace/platform/token-identity';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { IngestSettings } from './config.ts';
import type { Grant } from './intake/record-from.ts';

/** What one identity has in progress, over all its tokens. Removed when nothing is in progress. */
export class Sender implements BodyOwner {
  readonly key: string;
  requests = 0;
  /** Sessions of devices. */
  sessions = 0;
  /** Bytes of bodies, unpacked, and of messages, whose reports wait for the log. */
  bytes = 0;
  unfinishedBytes = 0;
  /** Bodies that are processed while they are received. */
  streams = 0;

  constructor(key: string) {
    this.key = key;
  }
}

/** The devices of which the bearer of a token may send reports. */
export class TokenGrant implements Grant {
  readonly identity: string;
  readonly covers: string;
  readonly #rights: Rights;
  readonly #publish: readonly string[];
  /** Undefined: its claims do not name whose commands it receives. */
  readonly #received: Rights | undefined;

  constructor(claims: Claims) {
    this.identity = identityOf(claims);
    this.#rights = rightsFrom(claims.publish);
    this.#publish = claims.publish;
    this.#received = claims.receiveCommands && rightsFrom(claims.receiveCommands);
    this.covers = coversText(claims);
  }

  /** Caches a bounded number of results. */
  allowsDevice(path: string): boolean {
    return this.#rights.allowsDevice(path);
  }

  /**
   * Returns whether a session of the device `own` may receive the commands of the device. Without a claim for it only
   * its own, if `publish` names exactly that path: else each token for the telemetry of a plant could take the commands
   * of its machines.
   */
  receivesCommands(device: string, own: string): boolean {
    if (this.#received !== undefined) return this.#received.allowsDevice(device);
    return device === own && this.#publish.includes(device);
  }
}

const shownPatternsMax = 5;

function coversText({ subject, publish }: Claims): string {
  const whose = `the token of ${shown(subject)}`;
  if (publish.length === 0) return `${whose} may publish nothing: expected one with the claim publish`;
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
  | 'streamsMax'
  | 'streamsPerTokenMax'
>;

/** The share of `inFlightBytesMax` that messages of sessions leave for events. */
const eventShare = 0.1;

/**
 * Counts what is in progress, within its limits. While the keys of its token are fetched, a request counts against its
 * address and a small limit for all such requests (`enterUnverified`). Then it counts against its sender and the limit
 * of all requests (`enter`). So requests without a valid token use no capacity of those with one. Each `enter…` is
 * followed by one `leave…`, and each `hold` by one `release`. Sessions of devices count their messages by `tryHold`.
 */
export class Admission {
  requests = 0;
  /** Bodies, unpacked, whose reports wait for the log. */
  bytes = 0;
  /** Requests whose token waits for keys. */
  unverified = 0;
  /** Bodies that are processed while they are received. */
  streams = 0;
  readonly #limits: Limits;
  /** By the claims of a token, which are the same object as long as the verifier caches them. */
  readonly #grants = new WeakMap<Claims, TokenGrant>();
  /** By identity. */
  readonly #senders = new Map<string, Sender>();
  readonly #unverifiedByAddress = new Map<string, number>();

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** Returns the most that one sender has in progress. For metrics. */
  mostOfOneSender(): Pick<Sender, 'requests' | 'sessions' | 'bytes' | 'streams'> {
    let [requests, sessions, bytes, streams] = [0, 0, 0, 0];
    for (const sender of this.#senders.values()) {
      requests = Math.max(requests, sender.requests);
      sessions = Math.max(sessions, sender.sessions);
      bytes = Math.max(bytes, sender.bytes);
      streams = Math.max(streams, sender.streams);
    }
    return { requests, sessions, bytes, streams };
  }

  /** Returns the most requests of one address that wait for keys. For metrics. */
  mostUnverifiedOfOneAddress(): number {
    let most = 0;
    for (const requests of this.#unverifiedByAddress.values()) most = Math.max(most, requests);
    return most;
  }

  /** Most bytes of bodies that one sender may have in progress: half of the limit of all. */
  get senderBytesMax(): number {
    return this.#limits.inFlightBytesMax / 2;
  }

  /** Whether more than half of the limit of requests is used. */
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
   * Counts one more request whose token needs keys that are being fetched. Throws `rate_limited` at the limit of its
   * address, and `limit_reached` at the limit of all.
   */
  enterUnverified(address: string): void {
    const { unverifiedRequestsMax, addressUnverifiedRequestsMax } = this.#limits;
    const ofAddress = this.#unverifiedByAddress.get(address) ?? 0;
    if (ofAddress >= addressUnverifiedRequestsMax) {
      const message = `expected at most ${addressUnverifiedRequestsMax} requests of ${address} that wait for the keys of their tokens, got one more: await answers before sending more`;
      throw new TailraceError('rate_limited', message);
    }
    if (this.unverified >= unverifiedRequestsMax)
      throw full(`${this.unverified} requests that wait for the keys of their tokens`);
    this.#unverifiedByAddress.set(address, ofAddress + 1);
    this.unverified++;
  }

  /** Called when the keys were fetched, or could not be. */
  leaveUnverified(address: string): void {
    this.unverified--;
    const ofAddress = this.#unverifiedByAddress.get(address)! - 1;
    if (ofAddress > 0) this.#unverifiedByAddress.set(address, ofAddress);
    else this.#unverifiedByAddress.delete(address);
  }

  /**
   * Counts one more request of a sender, before its body is read. Throws `rate_limited` at the limit of the sender, and
   * `limit_reached` at the limit of all.
   */
  enter({ identity: key }: TokenGrant): Sender {
    const { inFlightRequestsMax, inFlightBytesMax, requestsPerTokenMax } = this.#limits;
    const sender = this.#senders.get(key) ?? new Sender(key);
    if (sender.requests >= requestsPerTokenMax) {
      const message = `expected at most ${requestsPerTokenMax} requests of one sender in progress, got one more: await answers before sending more`;
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
    this.#removeIdle(sender);
  }

  /** Counts one more session of a sender, or one bridge. Followed by one `leaveSession`. */
  enterSession({ identity: key }: Pick<TokenGrant, 'identity'>): Sender {
    const sender = this.#senders.get(key) ?? new Sender(key);
    sender.sessions++;
    this.#senders.set(key, sender);
    return sender;
  }

  leaveSession(sender: Sender): void {
    sender.sessions--;
    this.#removeIdle(sender);
  }

  /**
   * Counts the bytes of a message of a session. Returns false, and counts nothing, above `senderBytesMax`, unless the
   * sender has nothing else in progress, and at the limit of all, of which a tenth is for events; a single message
   * always fits. Followed by one `release`.
   */
  tryHold(sender: Sender, bytes: number, isEvent: boolean): boolean {
    const { inFlightBytesMax } = this.#limits;
    if (sender.bytes > 0 && sender.bytes + bytes > this.senderBytesMax) return false;
    if (this.bytes > 0 && this.bytes + bytes > (isEvent ? 1 : 1 - eventShare) * inFlightBytesMax) return false;
    this.bytes += bytes;
    sender.bytes += bytes;
    return true;
  }

  /**
   * Counts the body of a request as one that is processed while it is received. Throws `rate_limited` at the limit of
   * the sender, and `limit_reached` at the limit of all. Followed by one `leaveStream`, before `leave`.
   */
  enterStream(sender: Sender): void {
    const { streamsMax, streamsPerTokenMax } = this.#limits;
    if (sender.streams >= streamsPerTokenMax) {
      const message = `expected at most ${streamsPerTokenMax} streams of one sender in progress, got one more: await answers before sending more`;
      throw new TailraceError('rate_limited', message);
    }
    if (this.streams >= streamsMax) throw full(`${this.streams} streams`);
    this.streams++;
    sender.streams++;
  }

  leaveStream(sender: Sender): void {
    this.streams--;
    sender.streams--;
  }

  /**
   * Counts the bytes of a body that is complete, or of a part of a stream. Throws `rate_limited` above
   * `senderBytesMax`, unless the sender has no other body in progress, and `limit_reached` at the limit of all.
   */
  hold(sender: Sender, bytes: number): void {
    if (sender.bytes > 0 && sender.bytes + bytes > this.senderBytesMax) {
      const message = `expected at most ${this.senderBytesMax} bytes of one sender in progress, got ${sender.bytes + bytes}: await answers before sending more`;
      throw new TailraceError('rate_limited', message);
    }
    if (this.bytes + bytes > this.#limits.inFlightBytesMax) throw full(`${this.bytes} bytes`);
    this.bytes += bytes;
    sender.bytes += bytes;
  }

  /** Called when the log has released the reports of the body, or is not to get them. */
  release(sender: Sender, bytes: number): void {
    this.bytes -= bytes;
    sender.bytes -= bytes;
    this.#removeIdle(sender);
  }

  #removeIdle(sender: Sender): void {
    if (sender.requests === 0 && sender.sessions === 0 && sender.bytes === 0) this.#senders.delete(sender.key);
  }
}

function full(what: string): TailraceError {
  const message = `the server has ${what} in progress, its limit; nothing of this request was accepted: retry later`;
  return new TailraceError('limit_reached', message, { retryable: true });
}

export interface DeviceNameLimits {
  /** Most names of all tenants, and of one tenant. */
  readonly devicesMax: number;
  readonly devicesPerTenantMax: number;
}

/** Names that are found without the table, because V8 caches their hashes. At the limit the set is cleared. */
const recentMax = 8_192;

/**
 * Bounds the distinct device names that this process accepts: a sender can invent names without end, and each costs
 * memory in every fanout node, permanently.
 *
 * Stores a hash of 64 bits for each name, in 11 to 23 bytes. Two names with the same hash count as one; among 500,000
 * names that happens in one of 10^8 processes. The hashes are not shared between processes, and start empty.
 */
export class DeviceNames {
  /** Most names of one tenant. */
  mostOfOneTenant = 0;
  readonly #limits: DeviceNameLimits;
  readonly #byTenant = new Map<string, number>();
  readonly #keyHigh: number;
  readonly #keyLow: number;
  readonly #hash = new TextHash();
  readonly #hashes = new HashSet();
  readonly #recent = new Set<string>();

  /** `key`: two random integers of 32 bits, so that a sender cannot choose names that collide. */
  constructor(limits: DeviceNameLimits, key: readonly [high: number, low: number]) {
    this.#limits = limits;
    [this.#keyHigh, this.#keyLow] = key;
  }

  /** Number of names. */
  get size(): number {
    return this.#hashes.size;
  }

  /** Counts a device path. Throws `limit_reached` for a new one at a limit. Hot: called once for each report. */
  admit(path: string): void {
    if (this.#recent.has(path)) return;
    this.#hash.take(path, this.#keyHigh, this.#keyLow);
    if (!this.#hashes.has(this.#hash.high, this.#hash.low)) this.#add(path);
    if (this.#recent.size === recentMax) this.#recent.clear();
    this.#recent.add(path);
  }

  /** Adds the name whose hash was taken last. */
  #add(path: string): void {
    const { devicesMax, devicesPerTenantMax } = this.#limits;
    const end = path.indexOf('.');
    const tenant = end < 0 ? path : path.slice(0, end);
    const count = this.#byTenant.get(tenant) ?? 0;
    if (count >= devicesPerTenantMax) throw tooMany(path, `${devicesPerTenantMax} devices of tenant ${tenant}`);
    if (this.size >= devicesMax) throw tooMany(path, `${devicesMax} devices`);
    this.#hashes.add(this.#hash.high, this.#hash.low);
    this.#byTenant.set(tenant, count + 1);
    this.mostOfOneTenant = Math.max(this.mostOfOneTenant, count + 1);
  }
}

function tooMany(path: string, limit: string): TailraceError {
  return new TailraceError('limit_reached', `device: expected at most ${limit}, got one more: ${shown(path)}`);
}
