import type { CommandAnswer, DeviceAck, DeviceCommand, DeviceConnectionOptions } from '@tailrace/client/device';
import type { Clock, Timer } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import { closeCodes } from '@tailrace/protocol/close';
import { isTailraceError } from '@tailrace/protocol/error';
import { parseReportHeader } from '@tailrace/protocol/report-header';
import { CatchUpRate } from '../store/catch-up-rate.ts';
import type { Batch, BatchLimits } from '../store/entry.ts';
import type { Outbox } from '../store/outbox.ts';
import { createIngestConnection } from './create-ingest-connection.ts';
import { DevicePace } from './device-pace.ts';
import type { IngestConnection, IngestConnectionOptions, IngestState } from './ingest-connection.ts';
import { LinkProbe } from './link-probe.ts';
import type { TlsFiles } from './tls-files.ts';

/*
 * Sends the outbox to ingest, over one connection. Its states are those of the link, for the readings of the gateway:
 *
 * - `down`: no session. The connection tries with a backoff, which a link that is back interrupts.
 * - `up`: batches are sent. What is live comes first; of the backlog at most as much as live reports are not late.
 * - `refused`: ingest does not accept the gateway: its token, or its rights. Tried again after a minute.
 * - `duplicate`: another gateway has the same path. Tried again after 30 s, then every ten minutes.
 */

export type LinkState = 'down' | 'up' | 'refused' | 'duplicate';

export interface UplinkOptions {
  readonly url: string;
  /** Certificates of connections with TLS. Undefined: those of Node.js. */
  readonly tls?: TlsFiles | undefined;
  /** The path of the gateway. */
  readonly device: string;
  readonly token: IngestConnectionOptions['token'];
  readonly outbox: Outbox;
  readonly catchUpReadingsPerSecondMax: number;
  /** Resolves with whether ingest is reachable within `limitMs`. */
  readonly probe: (limitMs: number) => Promise<boolean>;
  readonly onState: (state: LinkState) => void;
  /** Undefined: the gateway takes no commands. */
  readonly onCommand: ((command: DeviceCommand, answer: CommandAnswer) => void) | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  /** While nothing is answered for this time, the link may be lost without a sign of it, ms. Default 2,000. */
  readonly suspectMs?: number;
  readonly WebSocket?: DeviceConnectionOptions['WebSocket'];
}

/** Batches without an answer, of both queues and of the backlog. Below the window of ingest. */
const inFlightMax = 8;
const backlogInFlightMax = 4;
const inFlightBytesMax = 409_600;
/**
 * Protobuf bytes of a batch: as JSON, on the WebSocket, it is two to three times as large, and must fit one message of
 * ingest.
 */
const batchBytesMax = 61_440;
const batchBytesMin = 1_024;
const liveReportsMax = 500;
const backlogReportsMax = 200;
/** The part of the messages of a device that the backlog may use. */
const backlogShare = 0.9;
const suspectMsDefault = 2_000;
const refusedRetryMs = 60_000;
const duplicateRetryMs = 30_000;
const duplicateLongRetryMs = 600_000;
const warningEveryMs = 60_000;
const tickMs = 100;
/** Seconds of the mean of live readings. */
const meanSeconds = 60;

interface Sent {
  readonly batch: Batch;
  /** Of its loss, if it has one, and of its entries. */
  readonly reports: readonly Uint8Array[];
  sentMs: number;
}

export class Uplink {
  /** Batches that were accepted, by queue; and batches and reports that were sent again. */
  readonly counts = { live: 0, backlog: 0, reports: 0, readings: 0, resentBatches: 0, refusedReports: 0 };
  /** From the newest source time of a live batch to its acknowledgement, ms. */
  liveLagMs = 0;
  readonly #options: UplinkOptions;
  readonly #connection: IngestConnection;
  readonly #probe: LinkProbe;
  readonly #pace = new DevicePace(backlogShare);
  readonly #refusals: LimitedWarning;
  readonly #losses: LimitedWarning;
  readonly #inFlight = new Set<Sent>();
  /** Batches that ingest refused for now, to be sent as they are. */
  #retries: Sent[] = [];
  #state: LinkState = 'down';
  #rate: CatchUpRate | undefined;
  #bytesMax = batchBytesMax;
  #pausedUntilMs = 0;
  #backlogAtMs = 0;
  #answeredMs = 0;
  #liveReadings = 0;
  #liveMean = 0;
  #replacedMs = Number.NEGATIVE_INFINITY;
  /** Since when a live report waits for a place, monotonic ms. */
  #waitingSinceMs: number | undefined;
  #tick: Timer | undefined;
  #meanTimer: Timer | undefined;
  #retryTimer: Timer | undefined;
  #isPumpDue = false;
  #isStopped = false;

  constructor(options: UplinkOptions) {
    const { url, tls, device, token, probe, clock, random, logger, onCommand, WebSocket } = options;
    this.#options = options;
    const nowMs = () => clock.monotonic();
    const refused = 'ingest refused reports for good; they are lost';
    this.#refusals = new LimitedWarning(logger.error.bind(logger), refused, warningEveryMs, nowMs);
    const lost = 'no session with ingest; connecting again';
    this.#losses = new LimitedWarning(logger.warn.bind(logger), lost, warningEveryMs, nowMs);
    this.#connection = createIngestConnection({
      ...{ url, tls, device, token, clock, random, onCommand },
      ...(WebSocket && { WebSocket }),
      onState: (state) => this.#onConnection(state),
      onError: ({ code, message }) => logger.warn({ code, reason: message }, 'ingest reports an error'),
    });
    this.#probe = new LinkProbe({
      ...{ probe, clock, random },
      onReachable: () => {
        logger.info({}, 'ingest is reachable again; connecting');
        this.#connection.reconnect({ force: true });
      },
    });
  }

  get state(): LinkState {
    return this.#state;
  }

  get batchesInFlight(): Readonly<Record<Batch['queue'], number>> {
    let backlog = 0;
    for (const { batch } of this.#inFlight) if (batch.queue === 'backlog') backlog++;
    return { live: this.#inFlight.size - backlog, backlog };
  }

  /** Readings of the backlog per second; 0 without a link. */
  get catchUpRate(): number {
    return this.#rate?.rate ?? 0;
  }

  start(): void {
    const { clock } = this.#options;
    this.#connection.start();
    this.#tick = clock.every(tickMs, () => this.#check());
    this.#meanTimer = clock.every(1_000, () => {
      this.#liveMean += (this.#liveReadings - this.#liveMean) / meanSeconds;
      this.#liveReadings = 0;
    });
  }

  /** A report was put into the outbox. Those of one turn are one batch. */
  put(readings: number): void {
    this.#liveReadings += readings;
    if (this.#isPumpDue || this.#state !== 'up') return;
    this.#isPumpDue = true;
    queueMicrotask(() => {
      this.#isPumpDue = false;
      this.#pump();
    });
  }

  /** A device behind the gateway is reachable, or not any more. */
  presence(device: string, isOnline: boolean): void {
    this.#connection.presence(device, isOnline);
  }

  /** Sends what is live for up to `drainMs`, and closes the session in order. Idempotent. */
  async stop(drainMs: number): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    const { clock, outbox } = this.#options;
    const untilMs = clock.monotonic() + drainMs;
    while (this.#state === 'up' && outbox.reports > 0 && clock.monotonic() < untilMs) {
      this.#pump();
      await clock.sleep(20);
    }
    for (const timer of [this.#tick, this.#meanTimer, this.#retryTimer]) timer?.cancel();
    this.#probe.stop();
    await this.#connection.close();
    outbox.linkDown();
  }

  #onConnection(state: IngestState): void {
    const { logger, outbox, clock } = this.#options;
    if (state.name === 'live') {
      if (this.#state === 'up') return;
      this.#probe.stop();
      this.#retryTimer?.cancel();
      logger.info({ ingest: state.node, backlog: outbox.reports }, 'connected to ingest');
      const nowMs = clock.monotonic();
      this.#rate = new CatchUpRate({
        readingsPerSecondMax: this.#options.catchUpReadingsPerSecondMax,
        liveReadingsPerSecond: this.#liveMean,
        nowMs,
      });
      this.#answeredMs = nowMs;
      this.#pausedUntilMs = 0;
      this.#backlogAtMs = 0;
      this.#bytesMax = batchBytesMax;
      outbox.linkUp();
      this.#enter('up');
      this.#pump();
      return;
    }
    if (this.#state === 'up') {
      this.#linkDown();
      this.#enter('down');
    }
    if (state.name === 'waiting') {
      this.#losses.write(() => ({ code: state.loss.code, reason: state.loss.message }));
      this.#enter('down');
    } else if (state.name === 'stopped') this.#stopped(state.loss.code, state.loss.message);
  }

  #linkDown(): void {
    this.#inFlight.clear();
    this.#retries = [];
    this.#rate = undefined;
    this.#waitingSinceMs = undefined;
    this.#pace.clear();
    this.#options.outbox.linkDown();
  }

  #stopped(code: number, reason: string): void {
    const { logger, clock } = this.#options;
    this.#probe.stop();
    let retryMs = refusedRetryMs;
    if (code === closeCodes.replaced.code) {
      const nowMs = clock.monotonic();
      const isAgain = nowMs - this.#replacedMs < duplicateLongRetryMs;
      this.#replacedMs = nowMs;
      retryMs = isAgain ? duplicateLongRetryMs : duplicateRetryMs;
      logger.error({ reason, retryMs }, 'another gateway uses the path of this one');
      this.#enter('duplicate');
    } else {
      logger.error({ code, reason, retryMs }, 'ingest does not accept this gateway; reports are stored');
      this.#enter('refused');
    }
    this.#retryTimer = clock.after(retryMs, () => this.#connection.reconnect());
  }

  #enter(state: LinkState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#options.onState(state);
  }

  #check(): void {
    const { clock, suspectMs = suspectMsDefault } = this.#options;
    if (this.#state !== 'up') {
      const { name } = this.#connection.state;
      if (name === 'connecting' || name === 'waiting') this.#probe.start();
      return;
    }
    const isSuspect = this.#inFlight.size > 0 && clock.monotonic() - this.#answeredMs > suspectMs;
    if (isSuspect) this.#probe.start();
    else this.#probe.stop();
    this.#pump();
  }

  /** Sends what may be sent now. */
  #pump(): void {
    const state = this.#connection.state;
    const { clock, outbox } = this.#options;
    const nowMs = clock.monotonic();
    if (this.#state !== 'up' || state.name !== 'live' || nowMs < this.#pausedUntilMs) return;
    while (this.#retries.length > 0 && this.#hasPlace()) {
      this.counts.resentBatches++;
      this.#send(this.#retries.shift()!);
    }
    while (this.#hasPlace()) {
      const batch = outbox.next('live', this.#limits(liveReportsMax));
      if (batch === undefined) break;
      if (this.#waitingSinceMs !== undefined) this.#rate?.liveWaited(nowMs - this.#waitingSinceMs);
      this.#waitingSinceMs = undefined;
      this.#sendBatch(batch);
    }
    if (!this.#hasPlace()) {
      this.#waitingSinceMs ??= nowMs;
      return;
    }
    this.#waitingSinceMs = undefined;
    while (this.#hasPlace() && this.batchesInFlight.backlog < backlogInFlightMax && nowMs >= this.#backlogAtMs) {
      if (this.#rate?.maySend(nowMs) !== true) return;
      const batch = outbox.next('backlog', this.#limits(backlogReportsMax));
      if (batch === undefined) return;
      this.#rate.sent(batch.readings);
      const devices = this.#sendBatch(batch).map((report) => parseReportHeader(report).device);
      this.#backlogAtMs = this.#pace.sent(devices, state.messagesPerSecond, nowMs);
    }
  }

  #hasPlace(): boolean {
    if (this.#inFlight.size >= inFlightMax) return false;
    return this.#inFlight.size === 0 || this.#connection.queuedBytes < inFlightBytesMax;
  }

  #limits(reportsMax: number): BatchLimits {
    return { reportsMax, bytesMax: this.#bytesMax };
  }

  #sendBatch(batch: Batch): readonly Uint8Array[] {
    const reports = batch.entries.map(({ report }) => report);
    if (batch.loss !== undefined) reports.unshift(batch.loss);
    this.#send({ batch, reports, sentMs: 0 });
    return reports;
  }

  #send(sent: Sent): void {
    const { clock } = this.#options;
    const nowMs = clock.monotonic();
    if (this.#inFlight.size === 0) this.#answeredMs = nowMs;
    sent.sentMs = nowMs;
    this.#inFlight.add(sent);
    this.#connection.batch(sent.batch.id, sent.reports).then(
      (ack) => this.#answered(sent, ack),
      (thrown: unknown) => this.#notSent(sent, thrown),
    );
  }

  #answered(sent: Sent, ack: DeviceAck): void {
    // Of a session that is lost: its batches are void.
    if (!this.#inFlight.has(sent)) return;
    // The end of the session voids it.
    if (ack.status === 'lost') return;
    this.#inFlight.delete(sent);
    const { clock, outbox } = this.#options;
    const { batch, reports } = sent;
    this.#answeredMs = clock.monotonic();
    if (ack.status === 'rejected' && ack.retryable === true) {
      this.#rate?.slowDown();
      this.#retries.push(sent);
      this.#pausedUntilMs = this.#answeredMs + (ack.retryAfterMs ?? 1_000) * (1 + this.#options.random() / 2);
      return;
    }
    const offset = reports.length - batch.entries.length;
    const rejected = ack.rejected ?? [];
    const isAllRefused = ack.status === 'rejected' && rejected.length === 0;
    const refused = new Set<number>();
    if (isAllRefused) for (const { number } of batch.entries) refused.add(number);
    for (const { index } of rejected) {
      const entry = batch.entries[index - offset];
      if (entry !== undefined) refused.add(entry.number);
    }
    if (refused.size > 0) {
      this.counts.refusedReports += refused.size;
      const { code, message } = rejected[0] ?? ack;
      this.#refusals.write(() => ({ code, reason: message, reports: refused.size }));
    }
    this.counts[batch.queue]++;
    this.counts.reports += batch.entries.length - refused.size;
    this.counts.readings += batch.readings;
    if (batch.queue === 'live') {
      this.#rate?.liveAcked(this.#answeredMs - sent.sentMs);
      const newest = batch.entries.at(-1);
      if (newest !== undefined) this.liveLagMs = Math.max(0, clock.now() - newest.until);
    }
    outbox.acked(batch, refused);
    this.#pump();
  }

  /** A batch that is too large as JSON is sent as smaller ones; a report that is too large alone is lost. */
  #notSent(sent: Sent, thrown: unknown): void {
    if (!this.#inFlight.delete(sent)) return;
    const { outbox, logger } = this.#options;
    const { batch } = sent;
    if (isTailraceError(thrown) && thrown.code === 'too_large') {
      if (batch.entries.length > 1) {
        this.#bytesMax = Math.max(batchBytesMin, this.#bytesMax / 2);
        outbox.returned(batch);
      } else outbox.acked(batch, new Set(batch.entries.map(({ number }) => number)));
    } else {
      if (!this.#isStopped) logger.error({ error: thrown }, 'a batch could not be sent');
      outbox.returned(batch);
    }
  }
}
