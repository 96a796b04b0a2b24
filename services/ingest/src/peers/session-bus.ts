import { randomBytes } from 'node:crypto';
import type { Bus } from '@tailrace/bus/bus';
import type { Clock, Timer } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import { type Logger, logErrorsOf } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { invalidPathReason } from '@tailrace/protocol/path';
import type { DeviceRecords } from '../devices/device-record.ts';
import type { Nonces } from '../devices/nonces.ts';
import type {
  ClaimingSession,
  HandOver,
  SessionPeers,
  SessionRegistry,
  TakeOverWait,
} from '../devices/session-registry.ts';
import { hashesFromBytes } from './hash-bytes.ts';
import { NonceExchange } from './nonce-exchange.ts';
import { createPeerCounts, type HandOverFailure, type PeerCounts, registerDirectory } from './peer-metrics.ts';
import { claimOf, PeerRequests, type SessionPlace } from './peer-requests.ts';
import { SessionDigest } from './session-digest.ts';
import { type PeerNode, SessionDirectory } from './session-directory.ts';
import { SessionList } from './session-list.ts';
import {
  announcementSubject,
  anyNodeSubject,
  claimPattern,
  claimSubject,
  nodeSubject,
  noncesSubject,
} from './subjects.ts';

const { IngestAnnouncement, IngestReply, IngestRequest, SessionClaim, SessionState } = tailrace.v1;

/** Interval of the announcements, and of all checks. */
export const announceMs = 1_000;
/** For the reply to the request for a device; then it is opened without. */
const takeOverMs = 1_000;
const warningEveryMs = 60_000;

export interface SessionBusOptions {
  readonly bus: Pick<Bus, 'publish' | 'subscribe' | 'request' | 'serve' | 'stats'>;
  /** Name of this node. */
  readonly node: string;
  readonly registry: SessionRegistry<ClaimingSession>;
  readonly records: Pick<DeviceRecords, 'peek'>;
  readonly nonces: Nonces;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/**
 * The sessions of devices of all ingest nodes, over the bus. Each node publishes a claim when a session opens or
 * closes, and knows those of the others (`SessionDirectory`). Before a device opens here, the node that has or had it
 * is requested to hand it over.
 *
 * Messages of the bus can be lost. So a node announces a digest of its open sessions every second, and one that knows
 * others requests the list (`SessionList`).
 *
 * Without the bus, devices are served all the same. Then two nodes may have a session of one device, until both are
 * connected again. The connection is made and kept in the background.
 */
export class SessionBus implements SessionPeers {
  readonly #options: SessionBusOptions;
  /** Of this start: what an earlier one had is gone. */
  readonly #boot = randomBytes(9).toString('base64url');
  readonly #directory = new SessionDirectory();
  readonly #digest = new SessionDigest();
  readonly #nonces: NonceExchange;
  readonly #requests: PeerRequests;
  readonly #list: SessionList;
  readonly #counts: PeerCounts;
  readonly #sameName: LimitedWarning;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(options: SessionBusOptions) {
    this.#options = options;
    const { bus, node, registry, records, nonces, clock, logger, metrics } = options;
    this.#counts = createPeerCounts(metrics);
    const now = () => clock.monotonic();
    registerDirectory(metrics, this.#directory, () => registry.size, now);
    const self = { node, boot: this.#boot };
    this.#nonces = new NonceExchange(self, nonces, (payload) => this.#publish(noncesSubject, payload));
    nonces.onNew = (high, low, untilMs) => this.#nonces.add(high, low, untilMs);
    const find = (device: string) => this.find(device);
    this.#requests = new PeerRequests({ ...self, registry, records, find, clock });
    this.#list = new SessionList({ bus, clock, logger, directory: this.#directory, registry, counts: this.#counts });
    const warn = logger.warn.bind(logger);
    const sameName = 'another ingest node has the same name, so that devices are not handed over; set another one';
    this.#sameName = new LimitedWarning(warn, sameName, warningEveryMs, now);
    registry.peers = this;
  }

  /** Starts the announcements. Called once, before the first session. */
  start(): void {
    this.#timer = this.#options.clock.every(announceMs, () => this.#check());
  }

  /** Called when the bus is connected for the first time. */
  async subscribe(): Promise<void> {
    const { bus, node } = this.#options;
    const reply = (payload: Uint8Array) => this.#requests.reply(payload);
    await Promise.all([
      bus.subscribe(claimPattern, (payload) => this.#read(() => this.#onClaim(payload))),
      bus.subscribe(noncesSubject, (payload) => this.#read(() => this.#nonces.received(payload))),
      bus.subscribe(announcementSubject, (payload) => this.#read(() => this.#onAnnouncement(payload))),
      bus.serve(nodeSubject(node), reply),
      bus.serve(anyNodeSubject, reply),
    ]);
    this.#announce(false);
  }

  /** Announces that this node stops. The bus is closed by the caller. Idempotent. */
  stop(): void {
    if (this.#isStopped) return;
    this.#announce(true);
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  /** Returns where the session of the device is, on this node or another one that can be reached. */
  find(device: string): SessionPlace | undefined {
    const { registry, clock, node } = this.#options;
    const own = registry.of(device);
    if (own !== undefined) return { node, number: registry.numberOf(device), isOpen: true, protocol: own.protocol };
    const found = this.#directory.find(device, clock.monotonic());
    if (found === undefined) return undefined;
    return { node: found.node.name, number: found.number, isOpen: found.isOpen, protocol: found.protocol };
  }

  /** Returns the node with the open session of the device; undefined if none is known. */
  holderOf(device: string): string | undefined {
    const found = this.find(device);
    return found?.isOpen ? found.node : undefined;
  }

  // Called by the registry.

  numberOf(device: string): number {
    return this.#directory.numberOf(device);
  }

  takeOver(
    session: ClaimingSession,
    hasWaited: boolean,
    done: (reply: HandOver | TakeOverWait | undefined) => void,
  ): boolean {
    const found = this.#directory.find(session.device, this.#options.clock.monotonic());
    if (found === undefined || !this.#options.bus.stats().connected) return false;
    void this.#takeOver(found.node, session, hasWaited).then(done);
    return true;
  }

  opened(session: ClaimingSession, number: number, isFresh: boolean): void {
    this.#directory.forget(session.device);
    if (isFresh) this.#digest.add(session.device, number);
    this.#publishClaim({ ...claimOf(session, number), fresh: isFresh });
  }

  closed(session: ClaimingSession, number: number): void {
    this.#digest.remove(session.device, number);
    this.#publishClaim({ ...claimOf(session, number), state: SessionState.SESSION_STATE_CLOSED });
  }

  replaced({ device }: ClaimingSession, number: number): void {
    this.#digest.remove(device, number);
  }

  renumbered(session: ClaimingSession, former: number, number: number): void {
    this.#directory.forget(session.device);
    this.#digest.remove(session.device, former);
    this.#digest.add(session.device, number);
    this.#publishClaim(claimOf(session, number));
  }

  #check(): void {
    const { registry, clock } = this.#options;
    this.#announce(false);
    this.#directory.check(clock.monotonic());
    registry.check();
  }

  #announce(leaving: boolean): void {
    const { high, low, sessions } = this.#digest;
    const own = { node: this.#options.node, boot: this.#boot };
    const announcement = { ...own, sessions, digestHigh: high, digestLow: low, leaving };
    this.#publish(announcementSubject, IngestAnnouncement.encode(announcement).finish());
  }

  #publishClaim(claim: tailrace.v1.SessionClaim.$Properties): void {
    const { node } = this.#options;
    const payload = SessionClaim.encode({ ...claim, node, boot: this.#boot }).finish();
    this.#publish(claimSubject(claim.device!), payload);
  }

  /** Nothing is published while the bus is disconnected: the digest reveals it. */
  #publish(subject: string, payload: Uint8Array): void {
    const { bus, logger } = this.#options;
    if (this.#isStopped || !bus.stats().connected) return;
    logErrorsOf(logger, () => bus.publish(subject, payload), 'a message to other nodes could not be published');
  }

  #read(read: () => void): void {
    if (this.#isStopped) return;
    try {
      read();
    } catch {
      this.#counts.invalid.add();
    }
  }

  #onClaim(payload: Uint8Array): void {
    const { registry, clock } = this.#options;
    const { node: name, boot, device, number, protocol, address, state, fresh } = SessionClaim.decode(payload);
    if (this.#isOwn(name, boot)) return;
    if (invalidPathReason(device) !== undefined) {
      this.#counts.invalid.add();
      return;
    }
    const nowMs = clock.monotonic();
    const peer = this.#directory.received(name, boot, nowMs);
    if (peer === undefined) return;
    if (state === SessionState.SESSION_STATE_CLOSED) {
      this.#directory.closed(peer.node, { device, number, protocol }, nowMs);
      registry.closedElsewhere(device, number);
    } else {
      this.#directory.opened(peer.node, { device, number, protocol }, fresh, nowMs);
      registry.openedElsewhere({ device, number, node: name, address, isFresh: fresh });
    }
  }

  #onAnnouncement(payload: Uint8Array): void {
    const { clock } = this.#options;
    const { node: name, boot, sessions, digestHigh, digestLow, leaving } = IngestAnnouncement.decode(payload);
    if (this.#isOwn(name, boot)) return;
    const peer = this.#directory.received(name, boot, clock.monotonic());
    if (peer === undefined) return;
    if (leaving) {
      this.#directory.forgetNode(peer.node);
      return;
    }
    // So that a new node knows this one at once.
    if (peer.isNew) this.#announce(false);
    this.#list.check(peer.node, { high: digestHigh, low: digestLow, sessions });
  }

  /** Whether a message is of this process. */
  #isOwn(name: string, boot: string): boolean {
    if (name !== this.#options.node) return false;
    if (boot !== this.#boot) this.#sameName.write(() => ({ name }));
    return true;
  }

  /** Never rejects. Undefined: the device is opened without what the other node had. */
  async #takeOver(
    node: PeerNode,
    session: ClaimingSession,
    hasWaited: boolean,
  ): Promise<HandOver | TakeOverWait | undefined> {
    const { bus, clock } = this.#options;
    const { device, address, instance } = session;
    const takeOver = { boot: node.boot, device, node: this.#options.node, address, instance, hasWaited };
    const request = IngestRequest.encode({ takeOver }).finish();
    const startMs = clock.monotonic();
    try {
      const [part] = await bus.request(nodeSubject(node.name), request, { deadlineMs: takeOverMs });
      const reply = IngestReply.decode(part ?? new Uint8Array()).takeOver;
      if (!reply) throw new TailraceError('invalid_message', 'expected a reply to a take-over, got another');
      this.#counts.handOverSeconds.observe((clock.monotonic() - startMs) / 1_000);
      const { waitMs, number, recentIds, lastSeq, settled, takeovers } = reply;
      if (waitMs) return { waitMs };
      if (!settled) this.#counts.handOverFailures.unsettled.add();
      return {
        number: number ?? 0,
        recentIds: hashesFromBytes(recentIds ?? new Uint8Array()),
        lastSeq: lastSeq ?? -1,
        takeovers: takeovers ?? 0,
      };
    } catch (thrown) {
      this.#counts.handOverFailures[failureOf(thrown)].add();
      return undefined;
    }
  }
}

function failureOf(thrown: unknown): HandOverFailure {
  const { code } = tailraceErrorFrom(thrown);
  return code === 'timeout' || code === 'unavailable' ? code : 'other';
}
