import { clientMessageFromJson, type Subscribe } from '@tailrace/protocol/client-message-json';
import { closeCodes } from '@tailrace/protocol/close';
import type { Data } from '@tailrace/protocol/data-frame-json';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { assertPattern, patternMatches } from '@tailrace/protocol/pattern';
import { type Positions, positionsFromToken, tokenFromPositions } from '@tailrace/protocol/position';
import type { Delivery, Reading } from '@tailrace/protocol/report';
import { type ServerMessage, serverMessageJson } from '@tailrace/protocol/server-message-json';
import { effectiveTime } from '@tailrace/protocol/source-time';
import type { TestEvent, TestEvents } from './test-events.ts';
import type { TestLog } from './test-log.ts';
import type { TestSocket } from './test-socket.ts';

/** The server of a session. */
export interface TestServerSide {
  readonly log: TestLog;
  readonly events: TestEvents;
  readonly node: string;
  now(): number;
  accepts(token: string): boolean;
  /** Returns the error for a refused channel. */
  refusal(channel: string): TailraceError | undefined;
  received(message: ReturnType<typeof clientMessageFromJson>): void;
}

interface TestSubscription {
  readonly request: Subscribe;
  readonly view: number;
  /** The position of a pause. */
  pausedAt: Positions | undefined;
  /** With `delta`: the last sent reading by device and tag. */
  readonly lastSent: Map<string, { readonly reading: Reading; readonly timeMs: number }>;
}

/** The server side of one connection, with the product's codecs. */
export class TestSession {
  readonly socket: TestSocket;
  readonly #server: TestServerSide;
  readonly #served = new Map<string, TestSubscription>();
  /** The keys of the commands of this client. */
  readonly #commands = new Set<string>();
  #views = 0;
  #isWelcomed = false;

  constructor(socket: TestSocket, server: TestServerSide, needsToken: boolean) {
    this.socket = socket;
    this.#server = server;
    socket.open();
    if (!needsToken) this.#authorize();
  }

  get channels(): string[] {
    return [...this.#served.values()].map(({ request }) => request.channel);
  }

  send(message: ServerMessage): void {
    this.socket.deliver(serverMessageJson(message));
  }

  onText(text: string): void {
    try {
      const message = clientMessageFromJson(text);
      this.#server.received(message);
      if ('auth' in message) {
        if (this.#server.accepts(message.auth.token)) this.#authorize();
        else this.#close('unauthorized', 'unauthorized', 'the test server rejects this token');
      } else if (!this.#isWelcomed) this.#close('unauthorized', 'unauthorized', 'message: expected auth first');
      else if ('subscribe' in message) this.#subscribe(message.subscribe);
      else if ('unsubscribe' in message) {
        this.#served.delete(message.unsubscribe.id);
        this.send({ unsubscribed: { id: message.unsubscribe.id } });
      } else if ('pause' in message) this.#pause(message.pause.id);
      else if ('resume' in message) this.#resume(message.resume.id);
      else if ('ping' in message) this.send({ pong: { t: message.ping.t, time: this.#server.now() } });
      else {
        if ('command' in message) this.#commands.add(message.command.id);
        for (const reply of this.#server.events.control(message, this.#server.now())) this.send(reply);
      }
    } catch (error) {
      const { code, message } = tailraceErrorFrom(error);
      this.#close('protocolError', code, message);
    }
  }

  /** Sends an event to the subscriptions that match, and to the sender of its command. */
  event(event: TestEvent): void {
    for (const { request, view } of this.#served.values())
      for (const message of this.#server.events.messages(view, request, [event])) this.send(message);
    const { command } = event;
    if (this.#server.events.isLosing) return;
    if (command?.key !== undefined && this.#commands.has(command.key))
      this.send({
        command: { view: 0, request: command.key, events: [{ partition: 0, seq: event.seq, transition: command }] },
      });
  }

  /** Sends a live report to the subscriptions that match. */
  report(delivery: Delivery): void {
    for (const { request, view, pausedAt, lastSent } of this.#served.values()) {
      if (request.alarms || request.commands) continue;
      if (pausedAt === undefined && request.align === undefined && patternMatches(request.channel, delivery.device))
        this.#data({ request, view, pausedAt, lastSent }, [delivery], {});
    }
  }

  sendCut(at: number): void {
    for (const { request, view } of this.#served.values())
      if (request.align !== undefined)
        this.send({ cut: { view, at, reports: this.#server.log.lastValues(request.channel) } });
  }

  /** Returns the views of the channel, or of all. */
  views(channel: string | undefined): number[] {
    const subscriptions = [...this.#served.values()].filter(
      ({ request }) => channel === undefined || request.channel === channel,
    );
    return subscriptions.map(({ view }) => view);
  }

  /** Closes the subscriptions to the channel with the error. */
  revoke(channel: string, error: TailraceError): void {
    for (const [id, { request }] of this.#served) {
      if (request.channel !== channel) continue;
      this.#served.delete(id);
      this.#refuse(id, error);
    }
  }

  #authorize(): void {
    this.#isWelcomed = true;
    const limits = { messageBytesMax: 16_384, subscriptionsMax: 1000 };
    const { node } = this.#server;
    this.send({ welcome: { session: 'test', node, version: '0.0.0', heartbeatMs: 30_000, limits } });
  }

  #close(name: keyof typeof closeCodes, code: string, message: string): void {
    this.send({ error: { code, message, retryable: false } });
    this.socket.disconnect(closeCodes[name].code, closeCodes[name].reason);
  }

  #refuse(id: string, { code, message, retryable }: TailraceError): void {
    this.send({ error: { id, code, message, retryable } });
  }

  #subscribe(request: Subscribe): void {
    const { id, channel, after, from, snapshot = true } = request;
    try {
      assertPattern(channel);
      if (this.#served.has(id)) throw new TailraceError('conflict', `id: expected an unused one, got ${id}`);
      const refusal = this.#server.refusal(channel);
      if (refusal !== undefined) throw refusal;
      const { log, events } = this.#server;
      if (request.alarms || request.commands) {
        const served = { request, view: ++this.#views, pausedAt: undefined, lastSent: new Map() };
        this.#served.set(id, served);
        for (const message of events.start(served.view, request)) this.send(message);
        return;
      }
      const start = after === undefined ? undefined : positionsFromToken(after);
      const served: TestSubscription = { request, view: ++this.#views, pausedAt: undefined, lastSent: new Map() };
      this.#served.set(id, served);
      const missing = start === undefined ? [] : log.missing(start);
      const recovered = start === undefined ? {} : { recovered: missing.length === 0 };
      const startAt = start ?? (from === undefined ? log.end() : log.positionAt(from));
      const last =
        (start === undefined ? from === undefined : missing.length > 0) && snapshot && request.align === undefined;
      const values = last ? log.lastValues(channel) : [];
      const devices = new Set(values.map(({ device }) => device)).size;
      const position = tokenFromPositions(startAt.epoch === log.epoch ? startAt : log.end());
      const answer = { id, view: served.view, channel, epoch: log.epoch, position, snapshot: devices };
      this.send({ subscribed: { ...answer, ...recovered, ...(missing.length === 0 ? {} : { missing }) } });
      this.#data(served, values, { snapshot: true, snapshotComplete: true });
      if (request.align === undefined) this.#data(served, log.after(startAt, channel), { replay: true });
      if (from !== undefined) this.send({ live: { id, position: tokenFromPositions(log.end()) } });
    } catch (error) {
      this.#refuse(id, tailraceErrorFrom(error));
    }
  }

  #pause(id: string): void {
    const served = this.#served.get(id);
    if (served === undefined) this.#refuse(id, new TailraceError('not_found', `no subscription ${id}`));
    else if (served.pausedAt !== undefined) this.#refuse(id, new TailraceError('conflict', `${id} is paused already`));
    else {
      served.pausedAt = this.#server.log.end();
      this.send({ paused: { id, position: tokenFromPositions(served.pausedAt) } });
    }
  }

  #resume(id: string): void {
    const served = this.#served.get(id);
    if (served === undefined) this.#refuse(id, new TailraceError('not_found', `no subscription ${id}`));
    else if (served.pausedAt === undefined) this.#refuse(id, new TailraceError('conflict', `${id} is not paused`));
    else {
      const { log } = this.#server;
      const backlog = log.after(served.pausedAt, served.request.channel);
      served.pausedAt = undefined;
      if (served.request.align === undefined) this.#data(served, backlog, { replay: true });
      this.send({ live: { id, position: tokenFromPositions(log.end()) } });
    }
  }

  #data(
    served: TestSubscription,
    reports: readonly Delivery[],
    flags: Pick<Data, 'snapshot' | 'snapshotComplete' | 'replay'>,
  ): void {
    const sent = reports.flatMap((report) => this.#filtered(served, report));
    if (sent.length > 0) this.send({ data: { view: served.view, reports: sent, ...flags } });
  }

  /** Applies `tags` and `delta`. The test server ignores the other view options. */
  #filtered({ request, lastSent }: TestSubscription, report: Delivery): Delivery[] {
    let { readings } = report;
    const { tags, delta } = request;
    if (tags !== undefined) readings = readings.filter(({ tag }) => tags.includes(tag));
    if (readings.length === 0) return [];
    if (delta !== true) return [{ ...report, readings }];
    const counts = Map.groupBy(readings, ({ tag }) => tag);
    const changed: Reading[] = [];
    for (const reading of readings) {
      const key = `${report.device} ${reading.tag}`;
      const before = lastSent.get(key);
      const timeMs = effectiveTime(report, reading.time);
      const isLate = before !== undefined && timeMs < before.timeMs;
      if (!isLate) lastSent.set(key, { reading, timeMs });
      const isAlone = counts.get(reading.tag)?.length === 1;
      if (isLate || !isAlone || before === undefined || !isSame(before.reading, reading)) changed.push(reading);
    }
    return [
      changed.length === readings.length ? { ...report, readings } : { ...report, readings: changed, delta: true },
    ];
  }
}

function isSame(before: Reading, { value, unit, quality }: Reading): boolean {
  return before.value === value && before.unit === unit && before.quality === quality;
}
