import { randomBytes } from 'node:crypto';
import type { Bus } from '@tailrace/bus/bus';
import type { Clock, Timer } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import { type Logger, logErrorsOf } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { invalidPathReason } from '@tailrace/protocol/path';
import type { DeviceRecords, LoggedDevice } from '../devices/device-record.ts';
import type { LogLookback } from '../devices/log-lookback.ts';
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
import { type ClientStates, claimOf, PeerRequests, type SessionPlace } from './peer-requests.ts';
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
type TakeOverReply = tailrace.v1.TakeOverReply.$Properties;

/** Interval of the announcements, and of all checks. */
export const announceMs = 1_000;
/** For the reply to the request for a device; then it is opened without. */
const takeOverMs = 1_000;
/** How long the messages of a device wait for its former node to settle those that it has sent there. */
export const restMs = 30_000;
/** Between two requests for them. */
const restEveryMs = 250;
const warningEveryMs = 60_000;

export interface SessionBusOptions {
  readonly bus: Pick<Bus, 'publish' | 'subscribe' | 'request' | 'serve' | 'stats'>;
  /** Name of this node. */
  readonly node: string;
  readonly registry: SessionRegistry<ClaimingSession>;
  readonly records: Pick<DeviceRecords, 'peek'>;
  readonly nonces: Nonces;
  readonly lookback: Pick<LogLookback, 'lost' | 'idsOf'>;
  /** What a protocol keeps of its clients. */
  readonly clients: ClientStates;
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
 * A former node that has not settled all messages of a device is requested again until it has: meanwhile no message of
 * the device is taken here. One that is lost cannot reply, and the log is read back (`LogLookback`).
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
  /** At the last check. */
  #wasConnected = false;

  constructor(options: SessionBusOptions) {
    this.#options = options;
    const { bus, node, registry, records, clients, nonces, clock, logger, metrics } = options;
    this.#counts = createPeerCounts(metrics);
    const now = () => clock.monotonic();
    registerDirectory(metrics, this.#directory, () => registry.size, now);
    const self = { node, boot: this.#boot };
    this.#nonces = new NonceExchange(self, nonces, (payload) => this.#publish(noncesSubject, payload));
    nonces.onNew = (high, low, untilMs) => this.#nonces.add(high, low, untilMs);
    const find = (device: string) => this.find(device);
    this.#requests = new PeerRequests({ ...self, registry, records, clients, find, clock });
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
    const { clock, bus, lookback } = this.#options;
    const found = this.#directory.find(session.device, clock.monotonic());
    if (found === undefined || !bus.stats().connected) {
      if (this.numberOf(session.device) > 0) lookback.lost();
      return false;
    }
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
    const { registry, clock, bus, lookback } = this.#options;
    const { connected } = bus.stats();
    this.#announce(false);
    if (this.#directory.check(clock.monotonic()) || (this.#wasConnected && !connected)) lookback.lost();
    this.#wasConnected = connected;
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
    const { registry, records, clock } = this.#options;
    const { node: name, boot, device, number, protocol, address, state, fresh } = SessionClaim.decode(payload);
    if (this.#isOwn(name, boot)) return;
    if (invalidPathReason(device) !== undefined) {
      this.#counts.invalid.add();
      return;
    }
    const nowMs = clock.monotonic();
    const peer = this.#received(name, boot, nowMs);
    if (peer === undefined) return;
    if (state === SessionState.SESSION_STATE_CLOSED) {
      this.#directory.closed(peer.node, { device, number, protocol }, nowMs);
      registry.closedElsewhere(device, number);
    } else {
      this.#directory.opened(peer.node, { device, number, protocol }, fresh, nowMs);
      const record = records.peek(device);
      if (record !== undefined) record.isCurrent = false;
      registry.openedElsewhere({ device, number, node: name, address, isFresh: fresh });
    }
  }

  #onAnnouncement(payload: Uint8Array): void {
    const { clock } = this.#options;
    const { node: name, boot, sessions, digestHigh, digestLow, leaving } = IngestAnnouncement.decode(payload);
    if (this.#isOwn(name, boot)) return;
    const peer = this.#received(name, boot, clock.monotonic());
    if (peer === undefined) return;
    if (leaving) {
      this.#directory.forgetNode(peer.node);
      return;
    }
    // So that a new node knows this one at once.
    if (peer.isNew) this.#announce(false);
    this.#list.check(peer.node, { high: digestHigh, low: digestLow, sessions });
  }

  #received(name: string, boot: string, nowMs: number): ReturnType<SessionDirectory['received']> {
    const peer = this.#directory.received(name, boot, nowMs);
    // Its former start was killed, or has left: then it has closed its sessions itself.
    if (peer?.isRestarted) this.#options.lookback.lost();
    return peer;
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
    const { clock } = this.#options;
    const { device, address, instance } = session;
    const client = { client: session.client?.key ?? '', clean: session.client?.isClean ?? false };
    const takeOver = { boot: node.boot, device, node: this.#options.node, address, instance, hasWaited, ...client };
    const request = IngestRequest.encode({ takeOver }).finish();
    const startMs = clock.monotonic();
    try {
      const reply = await this.#requested(node, request);
      this.#counts.handOverSeconds.observe((clock.monotonic() - startMs) / 1_000);
      const { waitMs, number, takeovers, settled } = reply;
      if (waitMs) return { waitMs };
      const { recentIds, lastSeq } = loggedFrom(reply);
      const rest = settled ? undefined : this.#rest(node, device);
      const clientState = reply.clientState ?? undefined;
      return { number: number ?? 0, recentIds, lastSeq, takeovers: takeovers ?? 0, clientState, rest };
    } catch (thrown) {
      const failure = failureOf(thrown);
      this.#counts.handOverFailures[failure].add();
      // It may still have messages of the device that the log has not settled.
      if (failure === 'timeout')
        return { number: 0, recentIds: noIds, lastSeq: -1, takeovers: 0, rest: this.#rest(node, device) };
      this.#options.lookback.lost();
      return undefined;
    }
  }

  /** Resolves when the former node has settled the messages of the device, or at the deadline. Never rejects. */
  async #rest(node: PeerNode, device: string): Promise<LoggedDevice> {
    const { clock, lookback } = this.#options;
    const request = IngestRequest.encode({ unsettled: { boot: node.boot, device } }).finish();
    const untilMs = clock.monotonic() + restMs;
    let logged: LoggedDevice = {};
    while (!this.#isStopped && clock.monotonic() < untilMs) {
      try {
        const reply = await this.#requested(node, request);
        logged = loggedFrom(reply);
        if (reply.settled) return logged;
      } catch (thrown) {
        if (failureOf(thrown) !== 'timeout') {
          lookback.lost();
          return { logged: await lookback.idsOf(device) };
        }
      }
      await clock.sleep(restEveryMs);
    }
    this.#counts.handOverFailures.unsettled.add();
    return logged;
  }

  /** Rejects as `Bus.request` does, and for a reply that is none. */
  async #requested(node: PeerNode, request: Uint8Array): Promise<TakeOverReply> {
    const [part] = await this.#options.bus.request(nodeSubject(node.name), request, { deadlineMs: takeOverMs });
    const reply = IngestReply.decode(part ?? new Uint8Array()).takeOver;
    if (!reply) throw new TailraceError('invalid_message', 'expected a reply to a take-over, got another');
    return reply;
  }
}

const noIds = new BigUint64Array();

function loggedFrom({ recentIds, lastSeq }: TakeOverReply) {
  return { recentIds: hashesFromBytes(recentIds ?? new Uint8Array()), lastSeq: lastSeq ?? -1 };
}

function failureOf(thrown: unknown): HandOverFailure {
  const { code } = tailraceErrorFrom(thrown);
  return code === 'timeout' || code === 'unavailable' ? code : 'other';
}
