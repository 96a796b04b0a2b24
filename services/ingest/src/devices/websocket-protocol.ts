import { randomBytes } from 'node:crypto';
import type { Clock } from '@tailrace/platform/clock';
import { identityOf } from '@tailrace/platform/token-identity';
import { type CloseName, closeCodes } from '@tailrace/protocol/close';
import { isTailraceError, shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { messageIdWindowMs } from '@tailrace/protocol/message-id';
import { jsonWithDigits } from '../json-text.ts';
import type { AnnouncedDevices, GatewayDevices } from './announced-devices.ts';
import {
  type CommandReply,
  commandPayload,
  commandReplyFrom,
  type DeliveredCommand,
  exactReplyOf,
} from './device-command.ts';
import type { MessageToken } from './device-message.ts';
import { type DeviceSession, graceMs } from './device-session.ts';
import type { DeviceSocket, DeviceSocketHandlers } from './device-socket.ts';
import {
  authFrom,
  batchFrom,
  batchMessagesMax,
  type Envelope,
  envelopeFrom,
  frameFrom,
  messageFrom,
  messageIdOf,
  presenceFrom,
  receiptFrom,
  takesCommandsFrom,
} from './envelope.ts';
import type { BatchOutcome, ProtocolPort, Welcome } from './protocol-port.ts';
import { ackDeadlineMs } from './session-messages.ts';

/** Time without anything received after which a device is pinged, and after the ping until it is disconnected. */
export const heartbeatMs = 30_000;
export const pongDeadlineMs = 10_000;
/** From the connection to a valid `auth`. */
export const authDeadlineMs = 10_000;
/** Frames in succession that are no message; then the connection is closed. */
const invalidFramesMax = 10;
/** Bytes that may wait for a device to which a command is sent, so that no command waits for long in a full socket. */
const commandBufferBytesMax = 16_384;
/** Pings of the device a second, and at once. */
const pingsPerSecond = 10;

export interface WebSocketProtocolLimits {
  readonly node: string;
  readonly window: number;
  readonly windowBytes: number;
  readonly messageBytesMax: number;
  readonly messagesPerSecond: number;
  readonly eventsPerSecond: number;
}

export interface WebSocketProtocolOptions {
  readonly clock: Clock;
  readonly limits: WebSocketProtocolLimits;
  readonly announced: AnnouncedDevices;
  /** Called when the session is live, and its socket is not to be replaced by a new one. */
  onAuthenticated(protocol: WebSocketProtocol): void;
  /** Called when the connection is lost. */
  onClosed(protocol: WebSocketProtocol): void;
}

/**
 * The protocol of `GET /v1/device`: JSON messages in text frames, as docs/PROTOCOL.md defines them. Between the socket
 * of a device and its session.
 */
export class WebSocketProtocol implements ProtocolPort, DeviceSocketHandlers {
  readonly canDelay = true;
  readonly #options: WebSocketProtocolOptions;
  readonly #socket: DeviceSocket;
  #session: DeviceSession | undefined;
  /** '' once it was used. */
  #challenge = randomBytes(16).toString('base64url');
  takesCommands = false;
  #isCorked = false;
  #isPinged = false;
  #invalidFrames = 0;
  /** Devices behind this one whose presence it has sent. */
  #announced: GatewayDevices | undefined;
  /** Pings in the second `#pingSecond`. */
  #pings = 0;
  #pingSecond = 0;

  constructor(options: WebSocketProtocolOptions, socket: DeviceSocket) {
    this.#options = options;
    this.#socket = socket;
  }

  get session(): DeviceSession {
    return this.#session!;
  }

  get address(): string {
    return this.#socket.address;
  }

  replaced(): void {
    this.session.noAuth('too many connections are not authenticated: the oldest is closed for a new one');
  }

  /** Starts the session: sends `hello`. Called once. */
  start(session: DeviceSession): void {
    const { clock, limits } = this.#options;
    this.#session = session;
    const time = clock.now();
    this.#send('hello', undefined, {
      ...{ version: 1, node: limits.node, time, challenge: this.#challenge, authWithinMs: authDeadlineMs },
    });
  }

  /** Called every second: the deadline of the `auth`, and the heartbeat. `nowMs`: monotonic. */
  check(nowMs: number): void {
    const session = this.session;
    const { state } = session;
    if (state === 'greeting' || state === 'verifying') {
      if (nowMs - session.startedMs >= authDeadlineMs) session.noAuth(`expected auth within ${authDeadlineMs} ms`);
      return;
    }
    // What the device sends meanwhile, pongs included, is behind what is not read.
    if (session.messages.isPaused) session.received();
    const idleMs = nowMs - session.lastReceivedMs;
    if (idleMs >= heartbeatMs + pongDeadlineMs) session.timedOut();
    else if (idleMs < heartbeatMs) this.#isPinged = false;
    else if (!this.#isPinged) {
      this.#isPinged = true;
      this.#socket.ping();
    }
  }

  // From the socket.

  message(data: Buffer, isBinary: boolean): void {
    const session = this.session;
    session.received();
    const { messageBytesMax } = this.#options.limits;
    if (isBinary) {
      session.violated('protocolError', new TailraceError('invalid_message', 'expected text frames, got a binary one'));
    } else if (data.length > messageBytesMax) {
      const text = `message: expected at most ${messageBytesMax} bytes, got ${data.length}: send smaller batches`;
      session.violated('messageTooLarge', new TailraceError('too_large', text));
    } else this.#handle(data.toString(), data.length);
  }

  ping(): void {
    const { session } = this;
    session.received();
    const second = Math.floor(session.lastReceivedMs / 1_000);
    if (second !== this.#pingSecond) {
      this.#pingSecond = second;
      this.#pings = 0;
    }
    if (++this.#pings <= pingsPerSecond) return;
    const text = `expected at most ${pingsPerSecond} pings a second, got more`;
    session.violated('rateExceeded', new TailraceError('rate_limited', text));
  }

  pong(): void {
    this.session.received();
  }

  closed(code: number): void {
    this.#announced?.closed(code === 1000 ? 0 : graceMs);
    this.session.closed(code);
    this.#options.onClosed(this);
  }

  // From the session.

  welcome({ session, device, replaced, expiresAt }: Welcome): void {
    const { limits } = this.#options;
    this.#socket.authenticated();
    this.#options.onAuthenticated(this);
    this.#send('welcome', undefined, {
      session,
      device,
      heartbeatMs,
      ackWithinMs: ackDeadlineMs,
      window: limits.window,
      windowBytes: limits.windowBytes,
      messageBytesMax: limits.messageBytesMax,
      batchMax: batchMessagesMax,
      messagesPerSecond: limits.messagesPerSecond,
      eventsPerSecond: limits.eventsPerSecond,
      idWindowMs: messageIdWindowMs,
      replaced,
      expiresAt,
    });
  }

  acknowledge(token: MessageToken, outcome: 'accepted' | 'duplicate'): void {
    this.#cork();
    // Message IDs may have characters that JSON escapes.
    this.#socket.send(`{"type":"ack","msgid":${JSON.stringify(token)},"payload":{"status":"${outcome}"}}`);
  }

  refuse(token: MessageToken | undefined, error: TailraceError, retryAfterMs: number): void {
    const { code, message, retryable } = error;
    const retry = retryAfterMs > 0 ? retryAfterMs : undefined;
    this.#cork();
    if (token === undefined || token === '')
      this.#send('error', undefined, { code, message, retryable, retryAfterMs: retry });
    else this.#send('ack', token, { status: 'rejected', code, message, retryable, retryAfterMs: retry });
  }

  acknowledgeBatch(token: MessageToken, { accepted, rejected, error }: BatchOutcome, retryAfterMs: number): void {
    this.#cork();
    const isAccepted = accepted > 0 && error?.retryable !== true;
    const retry = retryAfterMs > 0 ? retryAfterMs : undefined;
    const status =
      isAccepted || error === undefined
        ? { status: 'accepted' }
        : { ...{ status: 'rejected', code: error.code, message: error.message }, retryable: error.retryable };
    this.#send('ack', token, {
      ...status,
      retryAfterMs: retry,
      accepted,
      rejected: rejected.map(({ index, id, code, message }) => ({ index, msgid: id || undefined, code, message })),
    });
  }

  expiring(inMs: number): void {
    this.#send('expiring', undefined, { inMs });
  }

  draining(afterMs: number): void {
    this.#send('draining', undefined, { afterMs });
  }

  deliverCommand(command: DeliveredCommand): boolean {
    if (this.#socket.bufferedBytes > commandBufferBytesMax) return false;
    const { id: msgid, device: to } = command;
    const timestamp = this.#options.clock.now();
    const message = { type: 'command', msgid, to, timestamp, payload: commandPayload(command) };
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  flush(): void {
    if (!this.#isCorked) return;
    this.#isCorked = false;
    this.#socket.uncork();
  }

  close(reason: CloseName | 'bye', error: TailraceError | undefined): void {
    if (error !== undefined) this.refuse(undefined, error, 0);
    this.flush();
    if (reason === 'bye') this.#socket.close(1000, 'bye');
    else {
      const { code, reason: text } = closeCodes[reason];
      // Of two senders with the identity of one device, each has the address of the other.
      this.#socket.close(code, reason === 'replaced' && error !== undefined ? error.message : text);
    }
  }

  get bufferedBytes(): number {
    return this.#socket.bufferedBytes;
  }

  #handle(text: string, bytes: number): void {
    const session = this.session;
    let frame: object | undefined;
    try {
      frame = frameFrom(text);
      this.#invalidFrames = 0;
      const envelope = envelopeFrom(frame);
      const received = { text, bytes, receivedMs: session.lastReceivedMs };
      if (envelope.type === 'auth') this.#authenticate(authFrom(envelope), takesCommandsFrom(envelope));
      else if (envelope.type === 'bye') session.bye();
      else if (envelope.type === 'ack') this.#received(receiptFrom(envelope));
      else if (envelope.type === 'reply') {
        const reply = exactReplyOf(envelope.payload, () => (jsonWithDigits(text) as Envelope).payload);
        this.#replied(envelope, commandReplyFrom(reply));
      } else if (envelope.type === 'presence') this.#presence(envelope);
      else if (envelope.type === 'batch') session.accept(batchFrom(envelope, session.device, received));
      else session.accept(messageFrom(envelope, session.device, received));
    } catch (thrown) {
      if (!isTailraceError(thrown)) throw thrown;
      const error = tailraceErrorFrom(thrown);
      if (frame === undefined && ++this.#invalidFrames >= invalidFramesMax) session.violated('protocolError', error);
      else session.reject(frame === undefined ? undefined : messageIdOf(frame), error);
    }
  }

  #authenticate(auth: ReturnType<typeof authFrom>, takesCommands: boolean | undefined): void {
    const challenge = this.#challenge;
    this.#challenge = '';
    const tookCommands = this.takesCommands;
    this.takesCommands = takesCommands ?? tookCommands;
    this.session.authenticate(auth, challenge);
    if (this.takesCommands && !tookCommands) this.session.commandsChanged();
  }

  /** The device has a command. One that is not known any more needs no answer. */
  #received(id: string): void {
    if (this.#isLive('')) this.session.commandReceived(id);
  }

  /** The session itself is the presence of its device; a message is that of a device behind it. */
  #presence(envelope: Envelope): void {
    const { msgid, qos, from } = envelope;
    if (!this.#isLive(msgid)) return;
    const { session } = this;
    const isOnline = presenceFrom(envelope);
    const device = from === '' ? session.device : from;
    session.assertCovers(device);
    // Each changes what all know of the device, so that it counts as an event of it.
    session.pace(device, true);
    if (device !== session.device) {
      this.#announced ??= this.#options.announced.ofGateway('websocket', identityOf(session.claims!));
      if (isOnline) this.#announced.online(device);
      else this.#announced.offline(device);
    }
    session.countAnswer();
    if (qos > 0) this.acknowledge(msgid, 'accepted');
  }

  #replied({ msgid, qos, from }: Envelope, reply: CommandReply): void {
    if (!this.#isLive(msgid)) return;
    const { session } = this;
    const token = qos === 0 ? undefined : msgid;
    if (!session.commandReplied(reply, from === '' ? session.device : from)) {
      const text = `command: expected one that was sent to this device in the last minutes, got ${shown(reply.id)}`;
      session.reject(token, new TailraceError('not_found', text));
    } else if (token !== undefined) this.acknowledge(token, 'accepted');
  }

  /** Returns whether the session is live; if not, the message has no effect, and is answered. */
  #isLive(msgid: string): boolean {
    const { session } = this;
    if (session.isLive) return true;
    const error = new TailraceError('unavailable', 'expected ack and reply after the welcome, got one before');
    if (session.state === 'greeting') session.reject(undefined, error);
    else if (msgid !== '') this.refuse(msgid, error, 0);
    return false;
  }

  /** All answers of one turn are one write. */
  #cork(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#socket.cork();
    process.nextTick(flushProtocol, this);
  }

  #send(type: string, msgid: MessageToken | undefined, payload: object): void {
    // JSON.stringify leaves out undefined fields.
    const timestamp = type === 'hello' ? this.#options.clock.now() : undefined;
    this.#socket.send(JSON.stringify({ type, msgid, timestamp, payload }));
  }
}

function flushProtocol(protocol: WebSocketProtocol): void {
  protocol.flush();
}
