import { clientMessageFromJson, type Subscribe } from '@tailrace/protocol/client-message-json';
import { closeCodes } from '@tailrace/protocol/close';
import type { Data } from '@tailrace/protocol/data-frame-json';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { assertPattern, patternMatches } from '@tailrace/protocol/pattern';
import { type Positions, positionsFromToken, tokenFromPositions } from '@tailrace/protocol/position';
import type { Delivery, Reading } from '@tailrace/protocol/report';
import { type ServerMessage, serverMessageJson } from '@tailrace/protocol/server-message-json';
import { effectiveTime } from '@tailrace/protocol/source-time';
import type { TestSocket } from './test-socket.ts';
import type { TestLog } from './testlog.ts';

/** What a session asks of its server. */
export interface TestServerSide {
  readonly log: TestLog;
  readonly node: string;
  now(): number;
  accepts(token: string): boolean;
  /** Why the channel is not to be had. */
  refusal(channel: string): TailraceError | undefined;
  received(message: ReturnType<typeof clientMessageFromJson>): void;
}

interface Served {
  readonly wish: Subscribe;
  readonly view: number;
  /** Where it was paused. */
  pausedAt: Positions | undefined;
  /** With `delta`: by device and tag, as told last. */
  readonly told: Map<string, { readonly reading: Reading; readonly timeMs: number }>;
}

/** The server's end of one connection: it reads and writes the protocol with the product's own codecs. */
export class TestSession {
  readonly socket: TestSocket;
  readonly #server: TestServerSide;
  readonly #served = new Map<string, Served>();
  #views = 0;
  #welcome = false;

  constructor(socket: TestSocket, server: TestServerSide, needsToken: boolean) {
    this.socket = socket;
    this.#server = server;
    socket.open();
    if (!needsToken) this.#authorised();
  }

  get channels(): string[] {
    return [...this.#served.values()].map(({ wish }) => wish.channel);
  }

  say(message: ServerMessage): void {
    this.socket.deliver(serverMessageJson(message));
  }

  take(text: string): void {
    try {
      const message = clientMessageFromJson(text);
      this.#server.received(message);
      if ('auth' in message) {
        if (this.#server.accepts(message.auth.token)) this.#authorised();
        else this.#close('unauthorized', 'unauthorized', 'the test server does not take this token');
      } else if (!this.#welcome) this.#close('unauthorized', 'unauthorized', 'the first message is not auth');
      else if ('subscribe' in message) this.#subscribe(message.subscribe);
      else if ('unsubscribe' in message) {
        this.#served.delete(message.unsubscribe.id);
        this.say({ unsubscribed: { id: message.unsubscribe.id } });
      } else if ('pause' in message) this.#pause(message.pause.id);
      else if ('resume' in message) this.#resume(message.resume.id);
      else if ('ping' in message) this.say({ pong: { t: message.ping.t, time: this.#server.now() } });
    } catch (error) {
      const { code, message } = tailraceErrorFrom(error);
      this.#close('protocolError', code, message);
    }
  }

  /** News. */
  report(delivery: Delivery): void {
    for (const { wish, view, pausedAt, told } of this.#served.values()) {
      if (pausedAt === undefined && wish.align === undefined && patternMatches(wish.channel, delivery.device))
        this.#data({ wish, view, pausedAt, told }, [delivery], {});
    }
  }

  cut(at: number): void {
    for (const { wish, view } of this.#served.values())
      if (wish.align !== undefined) this.say({ cut: { view, at, reports: this.#server.log.lastValues(wish.channel) } });
  }

  /** Each view. */
  views(channel: string | undefined): number[] {
    const of = [...this.#served.values()].filter(({ wish }) => channel === undefined || wish.channel === channel);
    return of.map(({ view }) => view);
  }

  /** The channel is not to be had any more. */
  end(channel: string, error: TailraceError): void {
    for (const [id, { wish }] of this.#served) {
      if (wish.channel !== channel) continue;
      this.#served.delete(id);
      this.#refuse(id, error);
    }
  }

  #authorised(): void {
    this.#welcome = true;
    const limits = { messageBytesMax: 16_384, subscriptionsMax: 1000 };
    const { node } = this.#server;
    this.say({ welcome: { session: 'test', node, version: '0.0.0', heartbeatMs: 30_000, limits } });
  }

  #close(name: keyof typeof closeCodes, code: string, message: string): void {
    this.say({ error: { code, message, retryable: false } });
    this.socket.cut(closeCodes[name].code, closeCodes[name].reason);
  }

  #refuse(id: string, { code, message, retryable }: TailraceError): void {
    this.say({ error: { id, code, message, retryable } });
  }

  #subscribe(wish: Subscribe): void {
    const { id, channel, after, from, snapshot = true } = wish;
    try {
      assertPattern(channel);
      if (this.#served.has(id)) throw new TailraceError('conflict', `the id ${id} is in use`);
      const refusal = this.#server.refusal(channel);
      if (refusal !== undefined) throw refusal;
      const { log } = this.#server;
      const start = after === undefined ? undefined : positionsFromToken(after);
      const served: Served = { wish, view: ++this.#views, pausedAt: undefined, told: new Map() };
      this.#served.set(id, served);
      const missing = start === undefined ? [] : log.missing(start);
      const recovered = start === undefined ? {} : { recovered: missing.length === 0 };
      const begin = start ?? (from === undefined ? log.end() : log.positionAt(from));
      const last =
        (start === undefined ? from === undefined : missing.length > 0) && snapshot && wish.align === undefined;
      const values = last ? log.lastValues(channel) : [];
      const devices = new Set(values.map(({ device }) => device)).size;
      const position = tokenFromPositions(begin.epoch === log.epoch ? begin : log.end());
      const answer = { id, view: served.view, channel, epoch: log.epoch, position, snapshot: devices };
      this.say({ subscribed: { ...answer, ...recovered, ...(missing.length === 0 ? {} : { missing }) } });
      this.#data(served, values, { snapshot: true, snapshotComplete: true });
      if (wish.align === undefined) this.#data(served, log.after(begin, channel), { replay: true });
      if (from !== undefined) this.say({ live: { id, position: tokenFromPositions(log.end()) } });
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
      this.say({ paused: { id, position: tokenFromPositions(served.pausedAt) } });
    }
  }

  #resume(id: string): void {
    const served = this.#served.get(id);
    if (served === undefined) this.#refuse(id, new TailraceError('not_found', `no subscription ${id}`));
    else if (served.pausedAt === undefined) this.#refuse(id, new TailraceError('conflict', `${id} is not paused`));
    else {
      const { log } = this.#server;
      const backlog = log.after(served.pausedAt, served.wish.channel);
      served.pausedAt = undefined;
      if (served.wish.align === undefined) this.#data(served, backlog, { replay: true });
      this.say({ live: { id, position: tokenFromPositions(log.end()) } });
    }
  }

  #data(
    served: Served,
    reports: readonly Delivery[],
    marks: Pick<Data, 'snapshot' | 'snapshotComplete' | 'replay'>,
  ): void {
    const shown = reports.flatMap((report) => this.#shown(served, report));
    if (shown.length > 0) this.say({ data: { view: served.view, reports: shown, ...marks } });
  }

  /** As `tags` and `delta` have it. The other ways of seeing less are the real server's. */
  #shown({ wish, told }: Served, report: Delivery): Delivery[] {
    let { readings } = report;
    const { tags, delta } = wish;
    if (tags !== undefined) readings = readings.filter(({ tag }) => tags.includes(tag));
    if (readings.length === 0) return [];
    if (delta !== true) return [{ ...report, readings }];
    const counts = Map.groupBy(readings, ({ tag }) => tag);
    const changed: Reading[] = [];
    for (const reading of readings) {
      const key = `${report.device} ${reading.tag}`;
      const before = told.get(key);
      const timeMs = effectiveTime(report, reading.time);
      const isLate = before !== undefined && timeMs < before.timeMs;
      if (!isLate) told.set(key, { reading, timeMs });
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
