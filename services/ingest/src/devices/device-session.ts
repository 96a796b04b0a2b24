import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import type { Revocations } from '@tailrace/platform/revocation';
import type { Claims } from '@tailrace/platform/token';
import { assertTransition, type Transitions } from '@tailrace/platform/transition';
import type { CloseName } from '@tailrace/protocol/close';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Admission, Sender } from '../admission.ts';
import type { AuthConnection, Authenticator, AuthRequest } from './authentication.ts';
import type { CommandEvents, CommandReply, CommandSession, DeliveredCommand } from './device-command.ts';
import type { DeviceBatch, DeviceMessage, MessageToken } from './device-message.ts';
import type { DeviceCounts, ProtocolCounts, SessionProtocol } from './device-metrics.ts';
import type { DeviceRecord, DeviceRecords } from './device-record.ts';
import type { LogLookback } from './log-lookback.ts';
import type { CloseReason, PresenceEvents } from './presence-events.ts';
import type { ProtocolPort } from './protocol-port.ts';
import { ackDeadlineMs, type MessageOwner, type SessionMessageOptions, SessionMessages } from './session-messages.ts';
import type {
  Claim,
  ClaimingSession,
  ClaimOrigin,
  HandOver,
  SessionClient,
  SessionRegistry,
} from './session-registry.ts';

/**
 * How long a device may be without a session before it is offline; not after a `bye`, or when its token has expired.
 */
export const graceMs = 5_000;
/** How long a session waits for its answers when it closes: at the request of its device, and of this process. */
const byeMs = 1_000;
const drainMs = 2_000;

/** What all sessions of a process share. */
export interface DeviceSessionOptions {
  readonly registry: SessionRegistry<DeviceSession>;
  readonly records: DeviceRecords;
  readonly lookback: Pick<LogLookback, 'isSuspect' | 'idsOf' | 'idsOfAll' | 'sweep'>;
  readonly authenticator: Authenticator;
  readonly admission: Pick<Admission, 'grantOf' | 'enterSession' | 'leaveSession'>;
  readonly messages: SessionMessageOptions;
  readonly presence: PresenceEvents;
  readonly commands: CommandEvents;
  readonly counts: DeviceCounts;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Sessions of one identity (iss, tenant and sub of its claims). */
  readonly sessionsPerIdentityMax: number;
}

export type DeviceSessionState = 'greeting' | 'verifying' | 'claiming' | 'live' | 'draining' | 'closing' | 'closed';

const transitions: Transitions<DeviceSessionState> = {
  greeting: ['verifying', 'closing', 'closed'],
  verifying: ['claiming', 'closing', 'closed'],
  claiming: ['live', 'closing', 'closed'],
  live: ['draining', 'closing', 'closed'],
  draining: ['closing', 'closed'],
  closing: ['closed'],
  closed: [],
};

/**
 * The session of a device, whichever protocol it uses.
 * - `greeting`: connected; only `authenticate` is expected.
 * - `verifying`: what the device presents is being verified. Messages wait.
 * - `claiming`: verified; it becomes the session of its device, perhaps after another one. Messages wait.
 * - `live`: messages go to the log, and are acknowledged when they are in it.
 * - `draining`: as `live`; the device was notified that the process stops.
 * - `closing`: messages are ignored; those that wait for the log are still answered, if the port is open.
 * - `closed`: the connection is lost. Messages may still wait for the log.
 */
export class DeviceSession implements ClaimingSession, CommandSession, MessageOwner {
  readonly address: string;
  readonly openedMs: number;
  readonly protocol: SessionProtocol;
  /** When it was opened, monotonic ms. */
  readonly startedMs: number;
  /** Of the `auth`; '' before. Of a gateway without a device of its own, a path of which it is the only user. */
  device = '';
  /** Whether it has no device of its own, and so no presence. */
  isGateway = false;
  /** How long the device may be without a session before it is offline, ms. Of MQTT the delay of its will. */
  graceMs = graceMs;
  instance = '';
  /** Set by the protocol before the session is verified. */
  client: SessionClient | undefined;
  lastReceivedMs: number;
  readonly #options: DeviceSessionOptions;
  readonly #port: ProtocolPort;
  readonly #connection: AuthConnection;
  readonly #counts: ProtocolCounts;
  readonly #messages: SessionMessages;
  #state: DeviceSessionState = 'greeting';
  #claims: Claims | undefined;
  #sender: Sender | undefined;
  #record: DeviceRecord | undefined;
  /** Of the claim; 0 before. */
  #number = 0;
  #isExpiryAnnounced = false;
  #isByeReceived = false;
  #closeTimer: Timer | undefined;
  /** Called when the messages are answered, at the latest at `#closeTimer`. */
  #closePort: (() => void) | undefined;
  /** The node of the newer session that has replaced it; '' for none. */
  #successor = '';
  /** Of a session that was live, until its event is published. */
  #closeReason: CloseReason | undefined;
  /** Of its event. */
  #publishedReason: CloseReason | undefined;
  /** Reports of its will that the log has not settled. */
  #willReports = 0;

  constructor(
    options: DeviceSessionOptions,
    port: ProtocolPort,
    connection: AuthConnection,
    protocol: SessionProtocol,
  ) {
    this.#options = options;
    this.#port = port;
    this.#connection = connection;
    this.#counts = options.counts.protocols[protocol];
    this.#messages = new SessionMessages(options.messages, port, this.#counts, this);
    this.address = connection.address;
    this.protocol = protocol;
    this.openedMs = options.clock.now();
    this.startedMs = options.clock.monotonic();
    this.lastReceivedMs = this.startedMs;
  }

  get state(): DeviceSessionState {
    return this.#state;
  }

  /** Whether its device is authenticated and the session takes messages. */
  get isLive(): boolean {
    return this.#state === 'live' || this.#state === 'draining';
  }

  get takesCommands(): boolean {
    return this.isLive && this.#port.takesCommands;
  }

  /** What waits for the log, and whether the session is paused. For the heartbeat and metrics. */
  get messages(): Pick<SessionMessages, 'isPaused' | 'unanswered' | 'windowBytes' | 'hasInbox' | 'stalledMs'> {
    return this.#messages;
  }

  /** Rises with each session of the device; 0 before it has its device. */
  get number(): number {
    return this.#number;
  }

  /** Undefined before they are verified. */
  get claims(): Claims | undefined {
    return this.#claims;
  }

  /** Whose quota it counts against; undefined before it is verified. */
  get sender(): Sender | undefined {
    return this.#sender;
  }

  /** Called for everything that is received from the device. */
  received(): void {
    this.lastReceivedMs = this.#options.clock.monotonic();
  }

  /**
   * Authenticates the device; in a live session, renews its claims, for which the challenge does not count.
   * `challenge`: which the protocol has sent on this connection; '' for none, or if it was used; undefined for a
   * protocol that has none.
   */
  authenticate(auth: AuthRequest, challenge: string | undefined): void {
    if (this.isLive) {
      this.#renew(auth);
      return;
    }
    if (this.#state === 'verifying' || this.#state === 'claiming')
      this.refuseAuth(new TailraceError('invalid_message', 'auth: expected one before the welcome, got another'));
    if (this.#state !== 'greeting') return;
    this.#enter('verifying');
    this.device = auth.device;
    this.instance = auth.instance;
    this.#messages.wait();
    this.#options.authenticator.authenticate(auth, this.#connection, challenge, (error, claims) => {
      // Of a session that has closed meanwhile.
      if (this.#state !== 'verifying') return;
      if (error !== undefined) this.refuseAuth(error);
      else this.#verified(claims!, auth);
    });
  }

  /** Takes a message of the device. It is answered later, unless its quality is 0. */
  accept(message: DeviceMessage | DeviceBatch): void {
    if (this.#state === 'greeting')
      this.refuseAuth(new TailraceError('invalid_message', 'expected auth as the first message, got another'));
    else this.#messages.add(message);
  }

  /** Refuses a message that its protocol could not read. `token` undefined: it has none by which it can be answered. */
  reject(token: MessageToken | undefined, error: TailraceError): void {
    if (this.isLive) this.#messages.reject(token, error);
    else this.refuseAuth(error);
  }

  /** Throws `forbidden` for a device that the credential does not cover. */
  assertCovers(device: string): void {
    const grant = this.#claims && this.#options.admission.grantOf(this.#claims);
    if (device === this.device || grant?.allowsDevice(device)) return;
    throw new TailraceError('forbidden', `${shown(device)} is not covered: ${grant?.covers}`);
  }

  /** Counts a message that is not appended, so that a device cannot send any number of them. */
  countAnswer(): void {
    this.#messages.countAnswer();
  }

  /** The device has a command. Returns whether the command is known. */
  commandReceived(id: string): boolean {
    this.#messages.countAnswer();
    return this.isLive && this.#options.commands.commandReceived(this, id);
  }

  /**
   * The device, or one behind it, has reported what became of a command. Returns whether the report counts; if not, the
   * device need not send it again.
   */
  commandReplied(reply: CommandReply, device = this.device): boolean {
    this.#messages.countAnswer();
    return this.isLive && this.#options.commands.commandReplied(this, device, reply);
  }

  /** Counts a message that is no report of the device against its rates: beyond them the session is not read. */
  pace(device: string, isEvent: boolean): void {
    this.#messages.pace(device, isEvent);
  }

  /** The device takes commands now: those that wait for it are sent. */
  commandsChanged(): void {
    if (this.isLive) this.#options.commands.sessionOpened(this);
  }

  /** The device closes its session, and is offline at once. */
  bye(): void {
    if (this.isLive && this.#messages.hasInbox) this.#isByeReceived = true;
    else this.#close('bye', undefined, 'bye', byeMs);
  }

  /** The connection is lost, with a close code of WebSocket. Idempotent. */
  closed(code: number): void {
    if (this.#state === 'closed') return;
    this.#counts.closed(code);
    const { isLive } = this;
    const isReleased = this.#state === 'closing';
    this.#enter('closed');
    this.#closePort = undefined;
    this.#closeTimer?.cancel();
    if (!isReleased) this.#release(isLive ? 'lost' : undefined);
  }

  /** Nothing was received from the device for too long. */
  timedOut(): void {
    this.#close('heartbeatTimeout', undefined, 'timeout');
  }

  /** The device did not authenticate in time, or a newer connection takes its place. */
  noAuth(message: string): void {
    this.#close('noAuth', new TailraceError('timeout', message), undefined);
  }

  /** Announces that the session is closed after this time: the device can find another server before. */
  drain(afterMs: number): void {
    if (this.#state !== 'live') return;
    this.#enter('draining');
    this.#port.draining(afterMs);
  }

  /** Closes the session because the process stops, when its messages are answered or after two seconds. */
  leave(): void {
    this.#close('restarting', undefined, 'drain', drainMs);
  }

  /** Closes the session if its claims were revoked. Called when the revocations have changed. */
  checkRevocations(revocations: Pick<Revocations, 'revoked'>): void {
    const { claims } = this;
    if (claims === undefined || !revocations.revoked(claims)) return;
    this.#close('unauthorized', new TailraceError('unauthorized', 'the token was revoked; get a new one'), 'expired');
  }

  /** Closes the session: its device is not authenticated, or not any more. */
  refuseAuth(error: TailraceError): void {
    if (error.code === 'internal') this.#options.logger.error({ error }, 'a session of a device could not be opened');
    this.#close(authCloseNames[error.code] ?? 'tryAgain', error, 'refused');
  }

  /** Called every second. `toleranceMs`: for how long claims are accepted after they have expired. */
  checkExpiry(nowMs: number, warningMs: number, toleranceMs: number): void {
    const expiresAt = this.#claims?.expiresAt;
    if (expiresAt === undefined || !this.isLive) return;
    const leftMs = expiresAt + toleranceMs - nowMs;
    if (leftMs <= 0) {
      this.#close('unauthorized', new TailraceError('unauthorized', 'the token has expired; get a new one'), 'expired');
    } else if (leftMs <= warningMs && !this.#isExpiryAnnounced) {
      this.#isExpiryAnnounced = true;
      this.#port.expiring(leftMs);
    }
  }

  /**
   * A will that is a report of the device is on its way into the log. It is no sign of life, so the device is offline
   * behind it: the event of the close has its position. Call `willSettled` for it.
   */
  willPublished(): void {
    this.#willReports++;
  }

  /** `seq`: position of the report; -1: it is not in the log. */
  willSettled(seq: number): void {
    this.#willReports--;
    const record = this.#record!;
    const isNewer = seq > record.lastSeq;
    if (isNewer) record.lastSeq = seq;
    if (this.#closeReason !== undefined) {
      this.#publishSettled();
      return;
    }
    // The will had a delay, and the event was published before it. A newer session is the presence of the device.
    const reason = this.#publishedReason;
    if (isNewer && reason !== undefined && record.sessions === 0) this.#publishClosed(reason, 0);
  }

  // Called by the registry.

  claimed({ number, replaced, handOver, isMoved }: Claim): void {
    const { records, clock, presence } = this.#options;
    const { device } = this;
    this.#enter('live');
    this.#number = number;
    this.#record = records.enter(device, clock.monotonic());
    this.#arrive(this.#record, handOver);
    if (!this.isGateway) presence.started({ device, number, protocol: this.protocol });
    const { expiresAt } = this.#claims!;
    const clientState = handOver?.clientState;
    this.#port.welcome({ session: number, device, replaced, expiresAt, isMoved, clientState });
    this.#openMessages();
    this.#options.commands.sessionOpened(this);
  }

  /** Adds what the former node has of the device, or the log if that node is lost. */
  #arrive(record: DeviceRecord, handOver: HandOver | undefined): void {
    const { records, lookback } = this.#options;
    if (handOver !== undefined) {
      records.seed(record, handOver.recentIds);
      record.lastSeq = Math.max(record.lastSeq, handOver.lastSeq);
      if (handOver.rest !== undefined) records.arrive(record, handOver.rest);
    } else if (!record.isCurrent) {
      const found = lookback.idsOf(this.device)?.then((logged) => ({ logged }));
      if (found !== undefined) records.arrive(record, found);
    }
    record.isCurrent = true;
  }

  waits(waitMs: number): void {
    const message = `${this.device} has another session that is at work, and takeovers follow each other too fast`;
    this.#port.refuse(undefined, new TailraceError('conflict', message, { retryable: true }), waitMs);
  }

  replaced({ address, node }: ClaimOrigin): void {
    this.#successor = node;
    // Without an event: the higher number of the newer session supersedes this one.
    this.#close(
      'replaced',
      new TailraceError('conflict', `replaced by a session from ${address} on ${node}`),
      undefined,
    );
  }

  abandoned(): void {
    this.#closeReason = 'lost';
    this.#publishSettled();
  }

  renumbered(number: number): void {
    this.#number = number;
    const { device, protocol } = this;
    if (!this.isGateway) this.#options.presence.started({ device, number, protocol });
  }

  // Called for commands.

  mayReceiveCommands(device: string): boolean {
    const claims = this.#claims;
    return claims !== undefined && this.#options.admission.grantOf(claims).receivesCommands(device, this.device);
  }

  deliver(command: DeliveredCommand): boolean {
    return this.#port.deliverCommand(command);
  }

  // Called by its messages.

  violated(name: CloseName, error: TailraceError): void {
    this.#close(name, error, 'refused');
  }

  onSettled(): void {
    if (this.#messages.unanswered === 0) this.#closePort?.();
    this.#publishSettled();
  }

  onForeignDevice(): void {
    const { records, lookback } = this.#options;
    const found = lookback.idsOfAll().then((logged) => ({ logged }));
    records.arrive(this.#record!, found);
    this.#openMessages();
  }

  onInboxEmpty(): void {
    if (this.#isByeReceived) this.bye();
  }

  #verified(claims: Claims, { identify, accepts }: AuthRequest): void {
    const { admission, registry, sessionsPerIdentityMax } = this.#options;
    const grant = admission.grantOf(claims);
    if (this.device === '' && identify !== undefined) {
      const { device, isGateway } = identify(claims, grant);
      this.device = device;
      this.isGateway = isGateway;
    }
    if (accepts?.(claims) === false) return;
    try {
      if (!this.isGateway) this.#countStart();
    } catch (thrown) {
      this.refuseAuth(tailraceErrorFrom(thrown));
      return;
    }
    const sender = admission.enterSession(grant);
    if (sender.sessions > sessionsPerIdentityMax) {
      admission.leaveSession(sender);
      const message = `expected at most ${sessionsPerIdentityMax} sessions of one sender, got one more`;
      this.refuseAuth(new TailraceError('limit_reached', message, { retryable: true }));
      return;
    }
    this.#enter('claiming');
    this.#claims = claims;
    this.#sender = sender;
    registry.claim(this);
  }

  /**
   * Counts the session as an event of its device, which all nodes receive, and its name as known, as a report would.
   * Throws `rate_limited` and `limit_reached`.
   */
  #countStart(): void {
    const { messages, records, clock } = this.#options;
    const { rates, names } = messages;
    const nowMs = clock.monotonic();
    const record = records.find(this.device, nowMs);
    if (record !== undefined && rates.takeDevice(record, true, nowMs) > 0) {
      const { perSecond, burst } = rates.events;
      const text = `expected at most ${perSecond} sessions and events a second of ${this.device} (burst ${burst}), got more`;
      throw new TailraceError('rate_limited', text, { retryable: true });
    }
    names.admit(this.device);
  }

  /** Takes new claims of the same device; the old ones count until they are verified. */
  #renew(auth: AuthRequest): void {
    if (auth.device !== this.device) {
      const message = `auth: expected ${this.device}, the device of this session, got ${auth.device}`;
      this.refuseAuth(new TailraceError('invalid_message', message));
      return;
    }
    this.#options.authenticator.authenticate(auth, this.#connection, undefined, (error, claims) => {
      if (!this.isLive) return;
      // While keys cannot be fetched, the old claims count until they expire.
      if (error !== undefined && error.code !== 'unauthorized' && error.code !== 'forbidden')
        this.#port.refuse(undefined, error, 0);
      else if (error !== undefined) this.refuseAuth(error);
      else {
        this.#claims = claims!;
        this.#isExpiryAnnounced = false;
        this.#port.welcome({
          session: this.#number,
          device: this.device,
          replaced: undefined,
          expiresAt: claims!.expiresAt,
          isMoved: false,
          clientState: undefined,
        });
        this.#openMessages();
        this.#messages.countAnswer();
      }
    });
  }

  #openMessages(): void {
    const arriving = this.#record!.arriving;
    if (arriving !== undefined) {
      this.#awaitLogged(arriving);
      return;
    }
    const grant = this.#options.admission.grantOf(this.#claims!);
    this.#messages.open({ device: this.device, record: this.#record!, grant, sender: this.#sender! });
  }

  /** Messages wait until it is known which of them are in the log; after the deadline they are refused meanwhile. */
  #awaitLogged(arriving: Promise<void>): void {
    const timer = this.#options.clock.after(ackDeadlineMs, () => this.#messages.refuseInbox());
    void arriving.then(() => {
      timer.cancel();
      if (this.isLive) this.#openMessages();
    });
  }

  #enter(state: DeviceSessionState): void {
    assertTransition(`session of ${this.device || this.address}`, transitions, this.#state, state);
    this.#state = state;
  }

  /** `reason`: of the event, if the session was live; undefined for none. `waitMs`: for the answers to its messages. */
  #close(name: CloseName | 'bye', error: TailraceError | undefined, reason: CloseReason | undefined, waitMs = 0): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    const { isLive } = this;
    this.#enter('closing');
    this.#closePort = () => {
      this.#closePort = undefined;
      this.#closeTimer?.cancel();
      this.#port.close(name, error);
    };
    this.#release(isLive ? reason : undefined);
    if (waitMs === 0 || this.#messages.unanswered === 0) this.#closePort?.();
    else this.#closeTimer = this.#options.clock.after(waitMs, () => this.#closePort?.());
  }

  /** Releases what the session holds, apart from its messages that wait for the log. Called once. */
  #release(reason: CloseReason | undefined): void {
    const { registry, records, admission, clock } = this.#options;
    this.#closeReason = reason;
    registry.release(this);
    this.#options.commands.sessionClosed(this, this.#successor);
    this.#messages.close();
    if (this.#record !== undefined) records.leave(this.#record, clock.monotonic());
    if (this.#sender !== undefined) admission.leaveSession(this.#sender);
    this.#publishSettled();
  }

  /** The event has the position of the last report, which is known when the log has settled all. */
  #publishSettled(): void {
    const reason = this.#closeReason;
    if (reason === undefined || this.isLive || this.#messages.unsettled + this.#willReports > 0) return;
    this.#closeReason = undefined;
    this.#publishedReason = reason;
    const hasGrace = reason !== 'bye' && reason !== 'expired';
    this.#publishClosed(reason, hasGrace ? this.graceMs : 0);
  }

  #publishClosed(reason: CloseReason, graceOfEventMs: number): void {
    if (this.isGateway) return;
    const { device, protocol } = this;
    const facts = { device, number: this.#number, protocol };
    this.#options.presence.closed(facts, reason, graceOfEventMs, this.#record!.lastSeq);
  }
}

/** Codes of errors of the authentication; after the others the device tries again. */
const authCloseNames: Partial<Record<TailraceError['code'], CloseName>> = {
  unauthorized: 'unauthorized',
  forbidden: 'forbidden',
  invalid_message: 'protocolError',
  invalid_path: 'protocolError',
  too_large: 'messageTooLarge',
};
