import type { SecondWheel, Timed } from '@tailrace/mqtt/one-second-wheel';
import type { ServerConnection } from '@tailrace/mqtt/server-connection';
import { encodeSession, type SessionState } from '@tailrace/mqtt/session-state';
import type { Clock } from '@tailrace/platform/clock';
import type { TokenGrant } from '../admission.ts';
import type { SessionClient } from '../devices/session-registry.ts';
import { SharedLimit } from '../shared-limit.ts';
import type { DueWill } from './wills.ts';

/**
 * Sessions without a connection that are kept; beyond it the one that was closed first is discarded. One sender may
 * have half of them: beyond that it loses its own, and not those of others.
 */
export const storedSessionsMax = 100_000;

/** Memory of these sessions, about; beyond it the same. A session is some 600 bytes, and 200 KB at its limits. */
export const storedBytesMax = 268_435_456;

/** Who may have a session. */
export interface SessionOwner {
  /** First segment of its devices. */
  readonly tenant: string;
  /** Of its token. */
  readonly grant: TokenGrant;
  /** Device of the session. */
  readonly device: string;
}

/** A session of one client ID. */
class StoredSession implements Timed {
  wheelSecond = 0;
  readonly key: string;
  owner: SessionOwner;
  /** Undefined while it is stored. */
  connection: ServerConnection | undefined;
  state: SessionState | undefined;
  /** Of its state, about. */
  bytes = 0;
  /** Ms of the monotonic clock; 0 while it has a connection. */
  expiresMs = 0;
  will: DueWill | undefined;
  willMs = 0;
  readonly #expired: (session: StoredSession) => void;

  constructor(key: string, owner: SessionOwner, expired: (session: StoredSession) => void) {
    this.key = key;
    this.owner = owner;
    this.#expired = expired;
  }

  due(nowMs: number): number {
    if (this.connection !== undefined) return 0;
    if (this.will !== undefined && nowMs >= this.willMs) this.publishWill();
    if (nowMs >= this.expiresMs) {
      this.#expired(this);
      return 0;
    }
    return this.will === undefined ? this.expiresMs : Math.min(this.willMs, this.expiresMs);
  }

  publishWill(): void {
    const { will } = this;
    this.will = undefined;
    will?.publish();
  }
}

/**
 * The sessions of the clients of this process, by tenant and client ID: those with a connection, at most one for each
 * (MQTT-3.1.4-2 of 3.1.1, MQTT-3.1.4-3 of 5), and those without, until they expire. They are in memory: a process that
 * was killed has none, and its clients learn so by Session Present 0. A client that connects to another process takes
 * its session along, see `take`.
 */
export class MqttSessions {
  /** Sessions without a connection that were discarded at the limit, so far. */
  evicted = 0;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #wheel: SecondWheel;
  readonly #byKey = new Map<string, StoredSession>();
  /** Without a connection, the one that was closed first at the start. */
  readonly #stored = new Set<StoredSession>();
  /** The same by the identity of their sender. */
  readonly #storedBy = new Map<string, Set<StoredSession>>();
  readonly #storedMax: number;
  readonly #bytes: SharedLimit;

  constructor(
    clock: Pick<Clock, 'monotonic'>,
    wheel: SecondWheel,
    storedMax = storedSessionsMax,
    bytesMax = storedBytesMax,
  ) {
    this.#clock = clock;
    this.#wheel = wheel;
    this.#storedMax = storedMax;
    this.#bytes = new SharedLimit(bytesMax);
  }

  /** Sessions without a connection. */
  get stored(): number {
    return this.#stored.size;
  }

  /** Memory of these, about. */
  get bytes(): Pick<SharedLimit, 'used' | 'mostOfOne'> {
    return this.#bytes;
  }

  /** Of the sender that has most. For metrics. */
  get storedOfOne(): number {
    let most = 0;
    for (const { size } of this.#storedBy.values()) most = Math.max(most, size);
    return most;
  }

  /**
   * Returns whether another sender has the session of the client ID: a sender must not disconnect another one by a
   * client ID. One whose token covers the device of the session may.
   */
  isForeign(clientId: string, { tenant, grant }: SessionOwner): boolean {
    const known = this.#byKey.get(clientKeyOf(tenant, clientId));
    if (known === undefined || known.owner.grant.identity === grant.identity) return false;
    return !grant.allowsDevice(known.owner.device);
  }

  /**
   * Assigns the session to a new connection; the former one is disconnected. Returns its state; undefined if there
   * is none, with `cleanStart`, which discards it, and for another device: that one must not receive its commands.
   * `moved`: the last session of the device was on another node, and its state counts instead of the one here; its
   * state is undefined if that node has none.
   */
  open(
    connection: ServerConnection,
    owner: SessionOwner,
    cleanStart: boolean,
    moved?: { readonly state: SessionState | undefined },
  ): SessionState | undefined {
    const key = clientKeyOf(owner.tenant, connection.clientId);
    const former = this.#byKey.get(key);
    former?.connection?.disconnect(0x8e, 'a newer connection has this client ID');
    // The former connection may have had no session to store.
    const session = this.#byKey.get(key) ?? new StoredSession(key, owner, this.#expired);
    this.#take(session);
    this.#wheel.cancel(session);
    const known = moved !== undefined ? moved.state : session.owner.device === owner.device ? session.state : undefined;
    const state = cleanStart ? undefined : known;
    // MQTT-3.1.3-9: a session that is resumed in time has no will. The will of a discarded one is due.
    if (state === undefined) session.publishWill();
    session.will?.discard();
    session.will = undefined;
    session.owner = owner;
    session.connection = connection;
    session.state = undefined;
    session.expiresMs = 0;
    this.#byKey.set(key, session);
    return state;
  }

  /**
   * Stores the session of a connection that is closed, or discards it with `expirySeconds` 0. The will is published
   * after `willSeconds`, or when the session expires; it is discarded if the session is resumed before.
   */
  close(
    connection: ServerConnection,
    { tenant }: SessionOwner,
    expirySeconds: number,
    will: DueWill | undefined,
    willSeconds: number,
  ): void {
    const key = clientKeyOf(tenant, connection.clientId);
    const session = this.#byKey.get(key);
    // A newer connection has the session: then its will is due at once.
    if (session?.connection !== connection) {
      will?.publish();
      return;
    }
    session.connection = undefined;
    if (expirySeconds <= 0) {
      this.#byKey.delete(key);
      will?.publish();
      return;
    }
    const nowMs = this.#clock.monotonic();
    session.state = connection.session;
    session.expiresMs = nowMs + expirySeconds * 1_000;
    session.will = will;
    session.willMs = nowMs + willSeconds * 1_000;
    if (willSeconds <= 0) session.publishWill();
    this.#wheel.schedule(session, session.will === undefined ? session.expiresMs : session.willMs);
    const ofSender = this.#store(session);
    const { identity } = session.owner.grant;
    const { max, ofOneMax } = this.#bytes;
    while (ofSender.size > this.#storedMax / 2 || this.#bytes.usedBy(identity) > ofOneMax) this.#evict(ofSender);
    while (this.#stored.size > this.#storedMax || this.#bytes.used > max) this.#evict(this.#stored);
  }

  /**
   * Publishes the wills of sessions without a connection: they end with this server, before their delay has passed.
   * Those of devices that have a session with another server are discarded.
   */
  endWills(isElsewhere: (device: string) => boolean): void {
    for (const session of this.#stored) {
      if (session.will === undefined) continue;
      if (isElsewhere(session.owner.device)) session.will.discard();
      else session.will.publish();
      session.will = undefined;
    }
  }

  /** Returns the sessions of its sender. */
  #store(session: StoredSession): Set<StoredSession> {
    const { identity } = session.owner.grant;
    session.bytes = bytesOf(session.state);
    this.#stored.add(session);
    this.#bytes.add(identity, session.bytes);
    const known = this.#storedBy.get(identity);
    if (known !== undefined) return known.add(session);
    const created = new Set([session]);
    this.#storedBy.set(identity, created);
    return created;
  }

  /** It is not stored any more. Idempotent. */
  #take(session: StoredSession): void {
    const { identity } = session.owner.grant;
    if (!this.#stored.delete(session)) return;
    this.#bytes.add(identity, -session.bytes);
    const ofSender = this.#storedBy.get(identity)!;
    ofSender.delete(session);
    if (ofSender.size === 0) this.#storedBy.delete(identity);
  }

  /**
   * Removes the session of a client whose device has moved to another node, and returns its state, encoded. Undefined
   * if there is none, if it is of another device, if the client is connected here again, if it is to be discarded, and
   * if it is too large.
   */
  take({ key, isClean }: SessionClient, device: string): Uint8Array | undefined {
    const session = this.#byKey.get(key);
    if (session === undefined || session.connection !== undefined || session.owner.device !== device) return undefined;
    this.#take(session);
    this.#wheel.cancel(session);
    this.#byKey.delete(key);
    // MQTT-3.1.3-9: a session that is resumed in time has no will. The will of a discarded one is due.
    if (isClean) session.publishWill();
    session.will?.discard();
    session.will = undefined;
    if (isClean || session.state === undefined) return undefined;
    try {
      return encodeSession(session.state);
    } catch {
      return undefined;
    }
  }

  #evict(among: Iterable<StoredSession>): void {
    for (const oldest of among) {
      this.evicted++;
      this.#wheel.cancel(oldest);
      this.#expired(oldest);
      return;
    }
  }

  readonly #expired = (session: StoredSession): void => {
    this.#take(session);
    if (this.#byKey.get(session.key) === session) this.#byKey.delete(session.key);
    session.publishWill();
  };
}

/** Returns the memory of a session, about. */
function bytesOf(state: SessionState | undefined): number {
  let bytes = 500;
  for (const filter of state?.subscriptions?.keys() ?? []) bytes += 100 + 2 * filter.length;
  for (const { message } of state?.window?.unacknowledged() ?? []) bytes += 500 + message.payload.length;
  return bytes + 200 * (state?.exchanges?.size ?? 0) + 100 * (state?.unacknowledged?.size ?? 0);
}

/** Returns the key of a client, which is unique over all tenants. */
export function clientKeyOf(tenant: string, clientId: string): string {
  return `${tenant}\n${clientId}`;
}
