import { bearerToken } from '@tailrace/platform/bearer-token';
import type { Clock } from '@tailrace/platform/clock';
import type { CorsHeaders } from '@tailrace/platform/cors';
import type { HttpExchange } from '@tailrace/platform/http-server';
import type { Log } from '@tailrace/platform/log';
import type { Claims, TokenVerifier } from '@tailrace/platform/token';
import { noSpan, type Span, type Tracing } from '@tailrace/platform/tracing';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Admission, Sender, TokenGrant } from './admission.ts';
import type { Answer, Answers } from './answers.ts';
import type { Telemetry } from './append.ts';
import { BodyTurns } from './body-turns.ts';
import type { IngestSettings } from './config.ts';
import type { DeviceNames } from './device-names.ts';
import type { IngestMetrics } from './metrics.ts';
import { BodyReader, type Intake, stepBytesMax } from './reports.ts';
import { type Encoding, encodingFrom, type Format, formatFrom, plainBody } from './request.ts';
import { answerRequest, requestSpan } from './spans.ts';

export interface EndpointParts {
  readonly verifier: TokenVerifier;
  readonly admission: Admission;
  readonly devices: DeviceNames;
  readonly telemetry: Telemetry;
  readonly answers: Answers;
  readonly cors: (origin: string) => CorsHeaders;
  readonly metrics: IngestMetrics;
  readonly tracing: Tracing;
  readonly clock: Clock;
  readonly log: Log;
  readonly settings: IngestSettings;
}

/** One request from its head to its answer. What it takes up is given back by `#finish`, the one way out. */
interface Exchange {
  readonly http: HttpExchange;
  readonly startMs: number;
  readonly cors: CorsHeaders;
  span: Span;
  /** Undefined until the token is verified. */
  sender: Sender | undefined;
  heldBytes: number;
}

/** What of a head is needed once the body is there. */
interface Head {
  readonly token: string;
  readonly format: Format;
  readonly encoding: Encoding;
}

/** The default health checks of load balancers. */
const healthPaths: ReadonlySet<string> = new Set(['/', '/healthz', '*']);
const healthMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** `POST /v1/ingest`, and what to answer to everything else. */
export class Endpoint {
  readonly #parts: EndpointParts;
  readonly #turns = new BodyTurns();
  #leaving = false;
  #draining = false;

  constructor(parts: EndpointParts) {
    this.#parts = parts;
  }

  /** From now on health checks fail, so that load balancers choose another server; requests are still taken. */
  leave(): void {
    this.#leaving = true;
  }

  /** From now on new requests are refused as well. */
  drain(): void {
    this.#leaving = true;
    this.#draining = true;
  }

  /** One request; its body is not read yet. */
  handle(http: HttpExchange): void {
    const { path, method } = http;
    if (path === '/v1/ingest') {
      if (method === 'POST') this.#take(http);
      else if (method === 'OPTIONS') this.#preflight(http);
      else this.#misdirected(http, 405);
    } else if (healthPaths.has(path) && healthMethods.has(method)) {
      this.#finish(this.#exchange(http), this.#parts.answers.health(!this.#leaving));
    } else this.#misdirected(http, 404);
  }

  #take(http: HttpExchange): void {
    const exchange = this.#exchange(http);
    try {
      const head = this.#headOf(exchange);
      const claims = this.#parts.verifier.cached(head.token);
      if (claims === undefined) void this.#verify(exchange, head);
      else this.#read(exchange, head, claims);
    } catch (error) {
      this.#fail(exchange, error);
    }
  }

  #exchange(http: HttpExchange): Exchange {
    const { cors, clock } = this.#parts;
    return {
      http,
      startMs: clock.monotonic(),
      cors: cors(http.header('origin')),
      span: noSpan,
      sender: undefined,
      heldBytes: 0,
    };
  }

  /** Throws what is wrong with a head, before anything is counted or read. */
  #headOf(exchange: Exchange): Head {
    const { tracing } = this.#parts;
    const { http } = exchange;
    if (this.#draining)
      throw new TailraceError('closed', 'this server is shutting down; connect again and repeat the request');
    const token = bearerToken(http.header('authorization'));
    if (token === undefined) throw noToken();
    const format = formatFrom(http.header('content-type'));
    const encoding = encodingFrom(http.header('content-encoding'));
    if (tracing.enabled) exchange.span = requestSpan(tracing, http.header('traceparent'));
    return { token, format, encoding };
  }

  /**
   * The first request of a token; those after it find the claims in the verifier's cache. The body is not read before,
   * so that requests without a valid token take no capacity. While keys are fetched the request is counted apart.
   */
  async #verify(exchange: Exchange, head: Head): Promise<void> {
    const { admission, verifier } = this.#parts;
    let address: string | undefined;
    try {
      const claims = await verifier
        .verify(head.token, () => {
          if (address !== undefined) return;
          admission.enterUnverified(exchange.http.address);
          address = exchange.http.address;
        })
        .finally(() => {
          if (address !== undefined) admission.leaveUnverified(address);
        });
      this.#read(exchange, head, claims);
    } catch (error) {
      this.#fail(exchange, error);
    }
  }

  /** Counts the request for its sender, then reads its body. Throws at a limit. */
  #read(exchange: Exchange, head: Head, claims: Claims): void {
    const { admission, settings } = this.#parts;
    const { http } = exchange;
    const grant = admission.grantOf(claims);
    exchange.sender = admission.enter(grant);
    if (http.isOver) {
      // It closed the connection while its token was verified.
      this.#fail(exchange, new TailraceError('closed', 'the client closed the connection'));
      return;
    }
    http.readBody(settings.bodyBytesMax, exchange.sender, (error, body) =>
      this.#receive(exchange, grant, head, error, body),
    );
  }

  #receive(exchange: Exchange, grant: TokenGrant, head: Head, error: TailraceError | undefined, body: Buffer): void {
    if (error !== undefined) {
      this.#fail(exchange, error);
      return;
    }
    this.#parts.metrics.bodyBytes.observe(body.length);
    exchange.span.set('http.request.body.size', body.length);
    exchange.span.run(() => this.#judge(exchange, grant, head, body));
  }

  /** A body of one step is taken at once; a larger one in steps, and behind it whatever its sender sends meanwhile. */
  #judge(exchange: Exchange, grant: TokenGrant, head: Head, body: Buffer): void {
    const { admission, devices, clock, settings } = this.#parts;
    const sender = exchange.sender!;
    let reader: BodyReader;
    let isSmall: boolean;
    try {
      const plain = plainBody(body, head.encoding, settings.bodyBytesMax);
      admission.hold(sender, plain.length);
      exchange.heldBytes = plain.length;
      isSmall = plain.length <= stepBytesMax;
      reader = new BodyReader(plain, head.format, {
        grant,
        receivedMs: clock.now(),
        clockAheadMs: settings.clockAheadMs,
        reportsMax: settings.reportsPerRequestMax,
        devices,
      });
    } catch (error) {
      this.#fail(exchange, error);
      return;
    }
    if (isSmall && !this.#turns.has(sender) && this.#step(exchange, reader)) return;
    this.#turns.add(sender, () => {
      if (!exchange.http.isOver) return exchange.span.run(() => this.#step(exchange, reader));
      // Nothing of it is in the log, and its sender knows that it has no answer.
      this.#fail(exchange, new TailraceError('closed', 'the client closed the connection'));
      return true;
    });
  }

  /** Returns whether the body is worked through. */
  #step(exchange: Exchange, reader: BodyReader): boolean {
    try {
      if (!reader.step()) return false;
    } catch (error) {
      this.#fail(exchange, error);
      return true;
    }
    this.#takeIntake(exchange, reader.intake);
    return true;
  }

  #takeIntake(exchange: Exchange, intake: Intake): void {
    const { answers, metrics, log } = this.#parts;
    if (intake.rejected.length > 0) metrics.countRejected(intake);
    if (intake.internalFault !== undefined) log.error({ error: intake.internalFault }, 'a report could not be handled');
    if (intake.records.length === 0) this.#finish(exchange, answers.refused(intake));
    else this.#append(exchange, intake);
  }

  #append(exchange: Exchange, intake: Intake): void {
    const { telemetry, admission, answers, metrics } = this.#parts;
    const { heldBytes, sender } = exchange;
    // The log releases them: at the deadline the sender has its answer, while the log still has the records.
    exchange.heldBytes = 0;
    telemetry
      .append(sender!, intake.records, () => admission.release(sender!, heldBytes), exchange.span)
      .then(
        () => {
          metrics.countAccepted(intake);
          this.#finish(exchange, answers.accepted(intake));
        },
        (error: unknown) => this.#fail(exchange, error),
      );
  }

  #fail(exchange: Exchange, thrown: unknown): void {
    const { answers, log } = this.#parts;
    const error = tailraceErrorFrom(thrown);
    // An error of the framing came from the server; other invalid messages are of the type or the encoding.
    const answer = exchange.http.isBroken ? answers.malformed(error) : answers.failed(error);
    const { span } = exchange;
    if (answer.outcome === 'internal') span.run(() => log.error({ error: thrown }, 'a request could not be handled'));
    if (answer.status >= 500) span.fail(error);
    this.#finish(exchange, answer);
  }

  #finish(exchange: Exchange, { status, headers, body, outcome: intended }: Answer): void {
    const { admission, metrics, clock } = this.#parts;
    const { http, startMs, cors, span, sender, heldBytes } = exchange;
    const more = cors.answer;
    const isSent = http.answer(status, more.length === 0 ? headers : [...headers, ...more], body);
    const outcome = isSent ? intended : 'client_gone';
    const { count, seconds } = metrics.requests[outcome];
    count.add();
    seconds.observe((clock.monotonic() - startMs) / 1_000, span.traceparent);
    answerRequest(span, status, outcome);
    span.end();
    // Last: whoever waits for the room finds the request answered and counted.
    if (sender === undefined) return;
    admission.release(sender, heldBytes);
    admission.leave(sender);
  }

  #preflight(http: HttpExchange): void {
    const exchange = this.#exchange(http);
    const { preflight } = exchange.cors;
    this.#finish(exchange, { status: 200, outcome: 'preflight', headers: preflight, body: '' });
  }

  #misdirected(http: HttpExchange, status: 404 | 405): void {
    this.#finish(this.#exchange(http), this.#parts.answers.notFound(status, shown(`${http.method} ${http.path}`)));
  }
}

function noToken(): TailraceError {
  return new TailraceError('unauthorized', 'there is no token; right is the header "Authorization: Bearer <token>"');
}
