import type { DeviceAck } from '@tailrace/client/device';
import { DeviceCommands, type SentReply } from '@tailrace/client/device-commands';
import { commandFrom } from '@tailrace/client/device-frames';
import { ClientConnection } from '@tailrace/mqtt/client-connection';
import type { Disconnected, Opened } from '@tailrace/mqtt/client-options';
import type { InboundMessage } from '@tailrace/mqtt/inbound-messages';
import type { OutboundMessage } from '@tailrace/mqtt/publish';
import { MqttError, mqttReasons as reasons } from '@tailrace/mqtt/reason';
import type { Wire } from '@tailrace/mqtt/wire';
import type { Timer } from '@tailrace/platform/clock';
import { backoffMs } from '@tailrace/protocol/backoff';
import { closeCodes } from '@tailrace/protocol/close';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { partialBatchFrom } from '@tailrace/protocol/partial-batch';
import { mqttTopicFromPath } from '@tailrace/protocol/path';
import { varintBytes, writeVarint } from '@tailrace/protocol/wire-writer';
import type { IngestConnection, IngestConnectionOptions, IngestLoss, IngestState } from './ingest-connection.ts';
import { type Dial, mqttDial } from './mqtt-dial.ts';

/*
 * The session of a gateway with the MQTT listener of ingest, in MQTT 5.
 *
 * - A batch is a PUBLISH of QoS 1 on `<gateway>/telemetry`: a Protobuf `ReportBatch`, whose user property `batch` is
 *   its ID. Its PUBACK follows the log, at most Receive Maximum of them are missing, and what does not fit waits here.
 * - Commands come on `<gateway>/command`. PUBACK is their receipt, and `<device>/reply` has what became of them.
 * - `<device>/presence` announces the devices behind the gateway, in each session again.
 *
 * Each attempt has a client of its own, and each session a clean start: batches without an answer belong to the outbox,
 * commands to ingest, and replies to `DeviceCommands`, which all send them again.
 */

export interface MqttConnectionOptions extends IngestConnectionOptions {
  /** Default: by the URL. */
  readonly dial?: Dial;
}

const keepAliveSeconds = 20;
/** Messages without PUBACK, if ingest allows as many. */
const unackedMax = 64;
/** Commands without PUBACK. */
const receiveMaximum = 64;
const packetBytesMax = 262_144;
const backoff = { baseMs: 1_000, capMs: 30_000 };
/** After so long in a session, the next attempt is the first one again. */
const stableMs = 60_000;
/** Where ingest does not name the rate that it accepts of a device: the default of its setting. */
const messagesPerSecondDefault = 100;
const failureFrom = 0x80;
const reportTag = 0x0a;

/** What a message without PUBACK is. */
type Sent =
  | { readonly batch: PendingBatch }
  | { readonly reply: string }
  | { readonly announced: string; readonly isOnline: boolean };

interface PendingBatch {
  readonly message: OutboundMessage;
  readonly count: number;
  readonly settle: (ack: DeviceAck) => void;
  readonly fail: (error: unknown) => void;
}

export class MqttConnection implements IngestConnection {
  readonly #options: MqttConnectionOptions;
  readonly #dial: Dial;
  readonly #topic: string;
  readonly #commands: DeviceCommands;
  #state: IngestState = { name: 'idle' };
  #client: ClientConnection | undefined;
  #wire: Wire | undefined;
  /** Batches that wait for the window, and those that were sent. */
  #waiting: PendingBatch[] = [];
  readonly #unanswered = new Set<PendingBatch>();
  #queuedBytes = 0;
  #replies: SentReply[] = [];
  /** Whether devices behind the gateway are online, and those that ingest does not know of. */
  readonly #presence = new Map<string, boolean>();
  readonly #toAnnounce = new Set<string>();
  /** By command, the deliveries without PUBACK. */
  readonly #tickets = new Map<string, number[]>();
  /** Clock of ingest at the start of the session, epoch ms, and when that was, monotonic ms. */
  #serverClock: { readonly epochMs: number; readonly atMs: number } | undefined;
  #attempt = 0;
  /** Of the current attempt or session. */
  #number = 0;
  #liveSinceMs = 0;
  #timer: Timer | undefined;

  /** Throws `invalid_config` for an invalid URL. */
  constructor(options: MqttConnectionOptions) {
    const { clock, random, device, onCommand } = options;
    this.#options = options;
    this.#dial = options.dial ?? mqttDial(options.url, options.tls);
    this.#topic = mqttTopicFromPath(device);
    this.#commands = new DeviceCommands({
      ...{ clock, onCommand, idPrefix: `${Math.floor(random() * 36 ** 8).toString(36)}-` },
      sendReceipt: (id) => this.#acknowledge(id),
      sendReply: (reply) => {
        // A reply counts as the receipt.
        this.#acknowledge(reply.command);
        this.#replies.push(reply);
        this.#sendNext();
      },
    });
  }

  get state(): IngestState {
    return this.#state;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  start(): void {
    if (this.#state.name === 'idle') this.#connect();
  }

  reconnect({ force = false }: { readonly force?: boolean } = {}): void {
    const { name } = this.#state;
    if (force && (name === 'live' || name === 'connecting')) this.#drop();
    else if (name !== 'waiting' && name !== 'stopped') return;
    this.#attempt = 0;
    this.#connect();
  }

  batch(id: string, reports: readonly Uint8Array[]): Promise<DeviceAck> {
    if (this.#state.name === 'closed') {
      return Promise.reject(new TailraceError('closed', 'the connection is closed; create another one'));
    }
    if (this.#state.name !== 'live') return Promise.resolve({ status: 'lost' });
    return new Promise((settle, fail) => {
      const properties = { contentType: 'application/x-protobuf', userProperties: [['batch', id]] as const };
      const message: OutboundMessage = {
        ...{ topic: `${this.#topic}/telemetry`, payload: batchOf(reports), qos: 1, properties },
      };
      const batch = { message, count: reports.length, settle, fail };
      this.#queuedBytes += message.payload.length;
      this.#waiting.push(batch);
      this.#sendNext();
    });
  }

  presence(device: string, isOnline: boolean): void {
    if (this.#presence.get(device) === isOnline) return;
    this.#presence.set(device, isOnline);
    this.#toAnnounce.add(device);
    this.#sendNext();
  }

  async close(): Promise<void> {
    if (this.#state.name === 'closed') return;
    const client = this.#state.name === 'live' ? this.#client : undefined;
    this.#client = undefined;
    this.#timer?.cancel();
    this.#number++;
    this.#commands.lost();
    this.#enter({ name: 'closed' });
    const error = new TailraceError('closed', 'the connection is closed; create another one');
    for (const { fail } of this.#takePending()) fail(error);
    // DISCONNECT: the gateway is offline at once.
    await client?.stop({ drainMs: 0 });
  }

  #connect(): void {
    const { clock, token } = this.#options;
    this.#timer?.cancel();
    const number = ++this.#number;
    this.#enter({ name: 'connecting' });
    const read = typeof token === 'function' ? token() : Promise.resolve(token);
    read.then(
      (text) => {
        if (this.#number === number) this.#open(number, text.trim());
      },
      (thrown: unknown) => {
        const { message } = tailraceErrorFrom(thrown);
        if (this.#number === number) this.#lost({ code: 1006, message: `no token: ${message}` }, clock.monotonic());
      },
    );
  }

  #open(number: number, token: string): void {
    const { clock, random, device, onCommand } = this.#options;
    const isCurrent = () => this.#number === number;
    const client = new ClientConnection(
      {
        ...{ clock, random, version: 5, clientId: device, cleanStart: true, sessionExpirySeconds: 0 },
        ...{ keepAliveSeconds, receiveMaximum, packetBytesMax, topicAliasMaximum: 0, unackedMax, isSubscribed: false },
        dial: (handlers) => {
          this.#wire = this.#dial(handlers);
          return this.#wire;
        },
        credentials: () => ({ userName: device, password: Buffer.from(token) }),
        subscriptions: onCommand === undefined ? [] : [{ filter: `${this.#topic}/command`, qos: 1 }],
        newExchangeId: () => '',
      },
      {
        publish: (message) => {
          if (isCurrent()) this.#received(message);
        },
        opened: (opened) => {
          if (isCurrent()) this.#opened(opened);
        },
        acknowledged: (_packetId, { context }, reason, text) => {
          if (isCurrent()) this.#acknowledged(context as Sent, reason, text);
        },
        disconnected: (disconnected) => {
          // Its own backoff does not apply.
          void client.stop({ drainMs: 0 });
          if (isCurrent()) this.#disconnected(disconnected);
        },
      },
    );
    this.#client = client;
    client.start();
  }

  #opened({ userProperties = {} }: Opened): void {
    const { clock } = this.#options;
    const { node, time, messagesPerSecond } = userProperties;
    const epochMs = Number(time);
    this.#liveSinceMs = clock.monotonic();
    this.#serverClock = epochMs > 0 ? { epochMs, atMs: this.#liveSinceMs } : undefined;
    for (const device of this.#presence.keys()) this.#toAnnounce.add(device);
    const rate = Number(messagesPerSecond) > 0 ? Number(messagesPerSecond) : messagesPerSecondDefault;
    this.#enter({ name: 'live', node: typeof node === 'string' ? node : '', messagesPerSecond: rate });
    this.#commands.live();
    this.#sendNext();
  }

  /** Sends what the window has room for: replies first, then batches in their order, then presence. */
  #sendNext(): void {
    while (this.#state.name === 'live') {
      const [reply] = this.#replies;
      const [batch] = this.#waiting;
      if (reply !== undefined) {
        if (!this.#publish(replyMessage(reply, this.#topic))) return;
        this.#replies.shift();
      } else if (batch !== undefined) {
        // Before PUBACK may come.
        this.#unanswered.add(batch);
        try {
          const isSent = this.#publish({ ...batch.message, context: { batch } satisfies Sent });
          if (!isSent) this.#unanswered.delete(batch);
          if (!isSent) return;
        } catch (thrown) {
          this.#settled(batch);
          batch.fail(thrown);
        }
        this.#waiting.shift();
      } else {
        const [device] = this.#toAnnounce;
        if (device === undefined) return;
        const isOnline = this.#presence.get(device)!;
        const message: OutboundMessage = {
          ...{ topic: `${mqttTopicFromPath(device)}/presence`, qos: 1 },
          payload: Buffer.from(isOnline ? 'online' : 'offline'),
          context: { announced: device, isOnline } satisfies Sent,
        };
        if (!this.#publish(message)) return;
        this.#toAnnounce.delete(device);
      }
    }
  }

  /** Returns whether there was room. */
  #publish(message: OutboundMessage): boolean {
    return this.#client?.publish(message) !== undefined;
  }

  #acknowledged(sent: Sent, reason: number, text = ''): void {
    if ('batch' in sent) {
      this.#settled(sent.batch);
      sent.batch.settle(ackFrom(sent.batch.count, reason, text));
    } else if ('reply' in sent) this.#commands.acknowledged(sent.reply);
    else if (reason >= failureFrom) {
      this.#options.onError(new MqttError(reason, `presence of ${sent.announced}: ${refusalText(reason, text)}`));
    }
    this.#sendNext();
  }

  #settled(batch: PendingBatch): void {
    if (this.#unanswered.delete(batch)) this.#queuedBytes -= batch.message.payload.length;
  }

  #received({ ticket, topic, payload }: InboundMessage): void {
    const { device, onError } = this.#options;
    try {
      const { fields, id, to } = commandFieldsOf(topic, payload.toString());
      const frame = commandFrom(fields, id, to);
      if (ticket >= 0) this.#tickets.set(id, [...(this.#tickets.get(id) ?? []), ticket]);
      this.#commands.received(frame, device, this.#serverNow());
    } catch (thrown) {
      onError(tailraceErrorFrom(thrown));
      if (ticket < 0) return;
      this.#client?.settle(ticket, reasons.implementationSpecific);
      this.#client?.flush();
    }
  }

  #acknowledge(id: string): void {
    const tickets = this.#tickets.get(id);
    if (tickets === undefined) return;
    this.#tickets.delete(id);
    for (const ticket of tickets) this.#client?.settle(ticket, reasons.success);
    this.#client?.flush();
  }

  #serverNow(): number {
    const { clock } = this.#options;
    const server = this.#serverClock;
    return server === undefined ? clock.now() : server.epochMs + clock.monotonic() - server.atMs;
  }

  #disconnected({ reason, message, isPermanent }: Disconnected): void {
    const { clock } = this.#options;
    const wasLive = this.#state.name === 'live';
    const nowMs = clock.monotonic();
    if (wasLive && reason === reasons.sessionTakenOver) this.#stopped({ code: closeCodes.replaced.code, message });
    // In a session: the token has expired, and the file may have a new one.
    else if (!wasLive && isPermanent) this.#stopped({ code: codeOf(reason), message });
    else this.#lost({ code: reason === reasons.success ? 1006 : codeOf(reason), message }, nowMs);
  }

  #stopped(loss: IngestLoss): void {
    this.#drop();
    this.#enter({ name: 'stopped', loss });
  }

  #lost(loss: IngestLoss, nowMs: number): void {
    const { clock, random } = this.#options;
    if (this.#state.name === 'live' && nowMs - this.#liveSinceMs >= stableMs) this.#attempt = 0;
    this.#drop();
    this.#timer = clock.after(backoffMs(this.#attempt++, random, backoff), () => this.#connect());
    this.#enter({ name: 'waiting', loss });
  }

  /** Leaves a session or an attempt. */
  #drop(): void {
    const client = this.#client;
    this.#client = undefined;
    this.#number++;
    // Without DISCONNECT: the gateway is not leaving.
    this.#wire?.close();
    this.#wire = undefined;
    void client?.stop({ drainMs: 0 });
    this.#commands.lost();
    this.#replies = [];
    this.#tickets.clear();
    for (const { settle } of this.#takePending()) settle({ status: 'lost' });
  }

  #takePending(): readonly PendingBatch[] {
    const pending = [...new Set([...this.#unanswered, ...this.#waiting])];
    this.#unanswered.clear();
    this.#waiting = [];
    this.#queuedBytes = 0;
    return pending;
  }

  #enter(state: IngestState): void {
    this.#state = state;
    this.#options.onState(state);
  }
}

/** Returns the fields of a command; `to`: '' for the gateway itself. Throws `invalid_message`. */
function commandFieldsOf(topic: string, text: string) {
  let fields: Record<string, unknown> | null;
  try {
    fields = JSON.parse(text) as Record<string, unknown> | null;
  } catch {
    throw new TailraceError('invalid_message', `${topic}: expected JSON, got ${shown(text)}`);
  }
  const { id, device: to = '' } = fields ?? {};
  if (fields === null || typeof id !== 'string' || typeof to !== 'string')
    throw new TailraceError('invalid_message', `${topic}: expected a command with an id, got ${shown(text)}`);
  return { fields, id, to };
}

/** Returns a Protobuf `ReportBatch`. */
function batchOf(reports: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const report of reports) length += 1 + varintBytes(report.length) + report.length;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const report of reports) {
    bytes[at++] = reportTag;
    at = writeVarint(bytes, at, report.length);
    bytes.set(report, at);
    at += report.length;
  }
  return bytes;
}

function replyMessage({ id, command, device, reply }: SentReply, own: string): OutboundMessage {
  const topic = `${device === undefined ? own : mqttTopicFromPath(device)}/reply`;
  const payload = Buffer.from(JSON.stringify({ id: command, ...reply }));
  return { topic, payload, qos: 1, context: { reply: id } satisfies Sent };
}

/** `text`: the Reason String; '' for none. */
function refusalText(reason: number, text: string): string {
  return text === '' ? `reason code 0x${reason.toString(16)}` : text;
}

/** Returns the answer of a PUBACK: refused reports are refused for good. */
function ackFrom(count: number, reason: number, text: string): DeviceAck {
  if (reason >= failureFrom) {
    const { code, message } = new MqttError(reason, refusalText(reason, text));
    return { status: 'rejected', code, message, retryable: false };
  }
  const partial = text === '' ? undefined : partialBatchFrom(text);
  if (partial === undefined) return { status: 'accepted' };
  const { message, accepted } = partial;
  const refused = [...partial.refused];
  // An older ingest truncates a long list. The rest is taken from its end on: what is reported as lost has the number
  // of reports that are, and its times may be those of others. No report is sent again in either case.
  for (let index = (refused.at(-1) ?? -1) + 1; refused.length < count - accepted && index < count; index++)
    refused.push(index);
  return {
    status: 'accepted',
    rejected: refused.map((index) => ({ index, code: 'invalid_report', message })),
  };
}

/** Returns the close code of a reason code. */
function codeOf(reason: number): number {
  switch (reason) {
    case reasons.badUserNameOrPassword:
      return closeCodes.unauthorized.code;
    case reasons.notAuthorized:
      return closeCodes.forbidden.code;
    case reasons.serverUnavailable:
    case reasons.serverBusy:
      return closeCodes.tryAgain.code;
    case reasons.serverShuttingDown:
      return closeCodes.restarting.code;
    case reasons.keepAliveTimeout:
      return closeCodes.heartbeatTimeout.code;
    default:
      return closeCodes.protocolError.code;
  }
}
