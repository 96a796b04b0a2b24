import type { Clock } from '@tailrace/platform/clock';
import type { Log } from '@tailrace/platform/log';
import type { Claims, TokenVerifier } from '@tailrace/platform/token';
import { noSpan, type Span, type Tracing } from '@tailrace/platform/tracing';
import type { WebResponse } from '@tailrace/platform/webresponse';
import {
  bearerToken,
  type Headers,
  type HttpRequest,
  type HttpResponse,
  respond,
  type WebServer,
} from '@tailrace/platform/webserver';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Admission, Sender } from './admission.ts';
import type { Answer, Answers } from './answers.ts';
import type { Telemetry } from './append.ts';
import type { IngestSettings } from './config.ts';
import type { CorsHeaders } from './cors.ts';
import type { IngestMetrics } from './metrics.ts';
import { type Intake, intakeFrom } from './reports.ts';
import { type Encoding, encodingFrom, type Format, formatFrom, plainBody } from './request.ts';
import { answerRequest, requestSpan } from './spans.ts';

export interface EndpointParts {
  readonly server: WebServer;
  readonly verifier: TokenVerifier;
  readonly admission: Admission;
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
  readonly res: WebResponse;
  readonly startMs: number;
  readonly cors: CorsHeaders;
  span: Span;
  /** Of its token; until that is verified undefined. */
  sender: Sender | undefined;
  isAdmitted: boolean;
  heldBytes: number;
}

/** What of a head is needed once the body is there. */
interface Head {
  readonly token: string;
  readonly format: Format;
  readonly encoding: Encoding;
}

/** `POST /v1/ingest`, and what to say to everything else. */
export class Endpoint {
  readonly #parts: EndpointParts;
  #leaving = false;
  #draining = false;

  constructor(parts: EndpointParts) {
    this.#parts = parts;
    const { server } = parts;
    const route = (handler: (res: HttpResponse, req: HttpRequest) => void) => server.guarded(handler);
    server.app.post(
      '/v1/ingest',
      route((res, req) => this.#take(res, req)),
    );
    server.app.options(
      '/v1/ingest',
      route((res, req) => this.#preflight(res, req)),
    );
    server.app.any(
      '/v1/ingest',
      route((res, req) => this.#misdirected(res, req, 405)),
    );
    server.app.any(
      '/*',
      route((res, req) => this.#misdirected(res, req, 404)),
    );
  }

  /** From now on every answer closes its connection: whoever keeps one finds another server for what comes next. */
  leave(): void {
    this.#leaving = true;
  }

  /** From now on new requests are refused as well. Resolves when none is under way. */
  async drain(): Promise<void> {
    this.leave();
    this.#draining = true;
    await this.#parts.admission.empty();
  }

  #take(res: HttpResponse, req: HttpRequest): void {
    const { server, settings } = this.#parts;
    const exchange = this.#exchange(res, req);
    let head: Head;
    try {
      head = this.#admit(exchange, req);
    } catch (error) {
      // The server throws away what still comes of the body; where that is more than any body may have, the connection ends.
      exchange.res.bodyUnread = Number(req.getHeader('content-length')) > settings.bodyBytesMax;
      this.#fail(exchange, error);
      return;
    }
    server.readBody(res, req, settings.bodyBytesMax, (error, body) => this.#receive(exchange, head, error, body));
  }

  #exchange(res: HttpResponse, req: HttpRequest): Exchange {
    const { cors, clock } = this.#parts;
    const origin = cors(req.getHeader('origin'));
    return {
      res,
      startMs: clock.monotonic(),
      cors: origin,
      span: noSpan,
      sender: undefined,
      isAdmitted: false,
      heldBytes: 0,
    };
  }

  /** Everything that can be said of a request before its body has come. Throws why it is not taken. */
  #admit(exchange: Exchange, req: HttpRequest): Head {
    const { verifier, admission, tracing } = this.#parts;
    if (this.#draining)
      throw new TailraceError('closed', 'this server is shutting down; connect again and repeat the request');
    const token = bearerToken(req);
    if (token === undefined) throw noToken();
    const format = formatFrom(req.getHeader('content-type'));
    const encoding = encodingFrom(req.getHeader('content-encoding'));
    admission.enter();
    exchange.isAdmitted = true;
    const claims = verifier.cached(token);
    if (claims !== undefined) this.#identify(exchange, claims);
    if (tracing.enabled) exchange.span = requestSpan(tracing, req.getHeader('traceparent'));
    return { token, format, encoding };
  }

  #identify(exchange: Exchange, claims: Claims): void {
    const { admission } = this.#parts;
    const sender = admission.senderOf(claims);
    admission.enterFor(sender);
    exchange.sender = sender;
  }

  #receive(exchange: Exchange, head: Head, error: TailraceError | undefined, body: Buffer): void {
    if (error !== undefined) {
      this.#fail(exchange, error);
      return;
    }
    this.#parts.metrics.bodyBytes.observe(body.length);
    if (exchange.sender === undefined) void this.#verify(exchange, head, body);
    else this.#judgeTraced(exchange, exchange.sender, head, body);
  }

  /** The first request of a token; those after it find the claims in the verifier's cache. */
  async #verify(exchange: Exchange, head: Head, body: Buffer): Promise<void> {
    try {
      this.#identify(exchange, await this.#parts.verifier.verify(head.token));
    } catch (error) {
      this.#fail(exchange, error);
      return;
    }
    this.#judgeTraced(exchange, exchange.sender!, head, body);
  }

  #judgeTraced(exchange: Exchange, grant: Sender, head: Head, body: Buffer): void {
    exchange.span.set('http.request.body.size', body.length);
    exchange.span.run(() => this.#judge(exchange, grant, head, body));
  }

  #judge(exchange: Exchange, grant: Sender, head: Head, body: Buffer): void {
    const { admission, answers, metrics, clock, log, settings } = this.#parts;
    let intake: Intake;
    try {
      const plain = plainBody(body, head.encoding, settings.bodyBytesMax);
      admission.hold(plain.length);
      exchange.heldBytes = plain.length;
      intake = intakeFrom(plain, head.format, {
        grant,
        receivedMs: clock.now(),
        reportsMax: settings.reportsPerRequestMax,
      });
    } catch (error) {
      this.#fail(exchange, error);
      return;
    }
    if (intake.rejected.length > 0) metrics.countRejected(intake);
    if (intake.internalFault !== undefined) log.error({ error: intake.internalFault }, 'a report could not be handled');
    if (intake.records.length === 0) this.#finish(exchange, answers.refused(intake));
    else this.#append(exchange, intake);
  }

  #append(exchange: Exchange, intake: Intake): void {
    const { telemetry, admission, answers, metrics } = this.#parts;
    const { heldBytes } = exchange;
    // From here on they are the log's to release: at the deadline the sender has its answer, and the log still the records.
    exchange.heldBytes = 0;
    telemetry
      .append(intake.records, () => admission.release(heldBytes), exchange.span)
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
    const answer = answers.failed(error);
    const { span } = exchange;
    if (answer.outcome === 'internal') span.run(() => log.error({ error: thrown }, 'a request could not be handled'));
    if (answer.status >= 500) span.fail(error);
    this.#finish(exchange, answer);
  }

  #finish(exchange: Exchange, answer: Answer): void {
    const { admission, metrics, clock } = this.#parts;
    const { res, startMs, cors, span, sender, isAdmitted, heldBytes } = exchange;
    const outcome = this.#send(res, answer, cors.answer) ? answer.outcome : 'client_gone';
    const { count, seconds } = metrics.requests[outcome];
    count.add();
    seconds.observe((clock.monotonic() - startMs) / 1_000, span.traceparent);
    answerRequest(span, answer.status, outcome);
    span.end();
    // Last: whoever waits for the room finds the request answered and counted.
    admission.release(heldBytes);
    if (isAdmitted) admission.leave(sender);
  }

  /** False: the client has gone. */
  #send(res: WebResponse, { status, headers, body }: Answer, more: Headers): boolean {
    // The server's word for "close the connection behind this answer"; its header Connection: close comes with it.
    if (this.#leaving) res.bodyUnread = true;
    return respond(res, status, more.length === 0 ? headers : [...headers, ...more], body);
  }

  #preflight(res: HttpResponse, req: HttpRequest): void {
    const exchange = this.#exchange(res, req);
    const { preflight } = exchange.cors;
    this.#finish(exchange, { status: 200, outcome: 'preflight', headers: preflight, body: '' });
  }

  #misdirected(res: HttpResponse, req: HttpRequest, status: 404 | 405): void {
    const method = req.getCaseSensitiveMethod();
    const answer = this.#parts.answers.notFound(status, shown(`${method} ${req.getUrl()}`));
    // An answer to HEAD has no body (RFC 9110 section 9.3.2).
    this.#finish(this.#exchange(res, req), method === 'HEAD' ? { ...answer, body: '' } : answer);
  }
}

function noToken(): TailraceError {
  return new TailraceError('unauthorized', 'there is no token; right is the header "Authorization: Bearer <token>"');
}
