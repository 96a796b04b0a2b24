import { bearerToken } from '@tailrace/platform/bearer-token';
import type { Clock } from '@tailrace/platform/clock';
import type { CorsHeaders } from '@tailrace/platform/cors';
import type { CredentialVerifier, Presented } from '@tailrace/platform/credentials';
import { isHealthCheck } from '@tailrace/platform/health';
import type { RefusedStatus } from '@tailrace/platform/http-refusal';
import type { Logger } from '@tailrace/platform/logger';
import type { Claims } from '@tailrace/platform/token';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Admission, DeviceNames, Sender, TokenGrant } from './admission.ts';
import type { Answer, Answers } from './answers.ts';
import type { Appender } from './append.ts';
import { type Encoding, encodingFrom, unpackBody } from './body-encoding.ts';
import { BodyScheduler } from './body-scheduler.ts';
import type { IngestSettings } from './config.ts';
import { formatFrom } from './content-type.ts';
import type { AcceptedUpgrade, DeviceSocketServer, UpgradeHead } from './devices/device-socket.ts';
import { handshakeErrorOf, noUpgrade } from './devices/handshake.ts';
import type { Pressure } from './intake/pressure.ts';
import type { ReportRates } from './intake/report-rates.ts';
import { NdjsonStream } from './ndjson-stream.ts';
import type { Observer, RequestObservation } from './observer.ts';
import { BodyParser, type Format, type ParsedBody, stepBytesMax } from './reports.ts';
import type { HttpExchange, TransportHandlers } from './transport.ts';

export interface EndpointOptions {
  readonly verifier: Pick<CredentialVerifier, 'cached' | 'verify'>;
  readonly admission: Admission;
  readonly devices: DeviceNames;
  readonly appender: Appender;
  readonly pressure: Pick<Pressure, 'admits'>;
  /** Undefined: reports are not limited by device. */
  readonly rates: ReportRates | undefined;
  readonly answers: Answers;
  readonly cors: (origin: string) => CorsHeaders;
  readonly observer: Observer;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly limits: Pick<
    IngestSettings,
    'bodyBytesMax' | 'reportsPerRequestMax' | 'clockAheadMs' | 'streamBytesMax' | 'appendDeadlineMs'
  >;
  /** What serves the WebSockets of devices, by path. */
  readonly sockets: ReadonlyMap<string, DeviceSocketServer>;
}

/** One request, from its head to its answer. `#answer`, which completes every request, releases what it holds. */
interface Request {
  readonly http: HttpExchange;
  readonly cors: CorsHeaders;
  readonly observation: RequestObservation;
  /** Undefined before the token is verified. */
  sender: Sender | undefined;
  heldBytes: number;
  /** Its body is processed while it is received. */
  stream: NdjsonStream | undefined;
}

/** The fields of a head that are used after the body is received. */
interface Head extends Presented {
  readonly format: Format;
  readonly encoding: Encoding;
}

const awayText = 'the log cannot be reached; nothing of this request was accepted: retry later';

/** The outcome of a request that the transport refuses before it reaches the endpoint, by status. */
const refusedOutcomes = { 400: 'malformed', 408: 'head_timeout', 431: 'head_too_large' } as const;

/**
 * Serves `POST /v1/ingest`, passes WebSockets to what serves their path, and answers every other request. The path of a
 * request: `#post` checks its head, `#readBody` counts it against the limits and receives its body, `#parse` parses it
 * into records in steps, `#append` writes them to the log, `#answer` sends the answer.
 */
export class Endpoint implements TransportHandlers {
  readonly #options: EndpointOptions;
  readonly #bodies = new BodyScheduler();
  readonly #streams = new Set<NdjsonStream>();
  #isLeaving = false;
  #isDraining = false;

  constructor(options: EndpointOptions) {
    this.#options = options;
  }

  /** Makes health checks fail, so that load balancers choose another server. Requests are still accepted. */
  leave(): void {
    this.#isLeaving = true;
  }

  /** Makes health checks fail, refuses new requests, and stops streams at the line that they have reached. */
  drain(): void {
    this.#isLeaving = true;
    this.#isDraining = true;
    for (const stream of this.#streams) stream.drain();
  }

  /** Handles a request; its body is not read yet. */
  request(http: HttpExchange): void {
    const { answers, observer, cors, sockets } = this.#options;
    const { path, method } = http;
    const request: Request = {
      http,
      cors: cors(http.header('origin')),
      observation: observer.request(),
      sender: undefined,
      heldBytes: 0,
      stream: undefined,
    };
    if (path === '/v1/ingest') {
      if (method === 'POST') this.#post(request);
      else if (method === 'OPTIONS') this.#answer(request, answers.preflight(request.cors.preflight));
      else this.#answer(request, answers.notFound(405, shown(`${method} ${path}`)));
    } else if (isHealthCheck(method, path)) {
      this.#answer(request, answers.health(!this.#isLeaving));
    } else if (sockets.has(path)) {
      this.#answer(request, answers.noHandshake(handshakeErrorOf(http, method) ?? noUpgrade(path)));
    } else this.#answer(request, answers.notFound(404, shown(`${method} ${path}`)));
  }

  /** Decides about a request for a WebSocket. One to another path is an ordinary request. */
  upgrade(head: UpgradeHead): AcceptedUpgrade | Answer | undefined {
    const { observer, sockets } = this.#options;
    const server = sockets.get(head.path);
    if (server === undefined) return undefined;
    const observation = observer.request();
    const decision = this.#accept(server, head);
    if ('open' in decision) observation.answered(101, 'upgraded');
    else observation.answered(decision.status, decision.outcome);
    return decision;
  }

  #accept(server: DeviceSocketServer, head: UpgradeHead): AcceptedUpgrade | Answer {
    const { answers } = this.#options;
    const error = handshakeErrorOf(head);
    if (error !== undefined) return answers.noHandshake(error);
    try {
      // A session would have to move soon. Its next server may be this one for a while, until balancers have noticed.
      if (this.#isLeaving) throw new TailraceError('closed', 'this server is shutting down; connect again');
      this.#assertOrigin(head.header('origin'));
      const origin = head.header('origin');
      const certificate = mayUseCertificate(origin, this.#options.cors(origin)) ? head.certificate : undefined;
      return { server, open: server.accept(head), certificate };
    } catch (thrown) {
      const answer = answers.failed(tailraceErrorFrom(thrown));
      if (answer.outcome === 'internal')
        this.#options.logger.error({ error: thrown }, 'a request for a WebSocket could not be handled');
      return answer;
    }
  }

  /**
   * Asserts that a page may open sockets of devices: CORS does not apply to WebSockets. See also `mayUseCertificate`.
   * Throws `forbidden`.
   */
  #assertOrigin(origin: string): void {
    if (origin !== '' && this.#options.cors(origin).answer.length === 0)
      throw new TailraceError('forbidden', `Origin: expected none, or one of allowedOrigins, got ${shown(origin)}`);
  }

  refused(status: RefusedStatus): void {
    this.#options.observer.refused(refusedOutcomes[status]);
  }

  isNearLimit(): boolean {
    return this.#options.admission.isNearLimit;
  }

  #post(request: Request): void {
    try {
      if (this.#isDraining)
        throw new TailraceError('closed', 'this server is shutting down; reconnect and send the request again');
      const { http } = request;
      const { token, certificate } = presentedOf(request);
      const contentEncoding = http.header('content-encoding');
      const contentType = http.header('content-type');
      const encoding = contentEncoding === '' ? 'identity' : encodingFrom(contentEncoding);
      if (encoding === undefined) {
        this.#answer(request, this.#options.answers.unsupportedEncoding(contentEncoding));
        return;
      }
      const head: Head = {
        token,
        certificate,
        encoding,
        format: contentType === 'application/json' ? 'json' : formatFrom(contentType),
      };
      request.observation.trace(http.header('traceparent'));
      const claims = this.#options.verifier.cached(head);
      if (claims === undefined) void this.#verify(request, head);
      else this.#readBody(request, head, claims);
    } catch (error) {
      this.#fail(request, error);
    }
  }

  /**
   * Verifies a credential whose claims are not cached yet. The body is read afterwards, so that requests without a
   * valid one use no capacity. While keys are fetched the request counts as unverified.
   */
  async #verify(request: Request, head: Head): Promise<void> {
    const { admission, verifier } = this.#options;
    let address: string | undefined;
    try {
      const claims = await verifier
        .verify(head, () => {
          if (address !== undefined) return;
          admission.enterUnverified(request.http.address);
          address = request.http.address;
        })
        .finally(() => {
          if (address !== undefined) admission.leaveUnverified(address);
        });
      this.#readBody(request, head, claims);
    } catch (error) {
      this.#fail(request, error);
    }
  }

  /** Counts the request for its sender, then reads its body. Throws at a limit, and while the log is away. */
  #readBody(request: Request, head: Head, claims: Claims): void {
    const { admission, limits, pressure } = this.#options;
    const { http, observation } = request;
    const grant = admission.grantOf(claims);
    if (!pressure.admits()) throw new TailraceError('unavailable', awayText);
    request.sender = admission.enter(grant);
    if (http.isFinished) {
      this.#fail(request, clientClosed());
      return;
    }
    if (head.format === 'ndjson' && isStream(http, limits.bodyBytesMax)) {
      this.#stream(request, head, grant);
      return;
    }
    http.readBody(limits.bodyBytesMax, request.sender, (error, body) => {
      if (error !== undefined) {
        this.#fail(request, error);
        return;
      }
      observation.bodyReceived(body.length);
      observation.run(() => this.#parse(request, head, grant, body));
    });
  }

  /** Processes a body while it is received. Throws at a limit. */
  #stream(request: Request, head: Head, grant: TokenGrant): void {
    const { admission } = this.#options;
    const { http, observation, cors } = request;
    const sender = request.sender!;
    admission.enterStream(sender);
    const progressHeaders = acceptsLines(http.header('accept')) ? [...progressAnswer, ...cors.answer] : undefined;
    const stream = new NdjsonStream(
      { ...this.#options, bodies: this.#bodies },
      { http, observation, sender, grant, presented: head, encoding: head.encoding, progressHeaders },
      (error) => {
        this.#streams.delete(stream);
        admission.leaveStream(sender);
        observation.streamReceived(stream.unpackedBytes);
        if (error !== undefined) this.#fail(request, error);
        else this.#answer(request, this.#options.answers.streamed(stream.result, stream.hasHead));
      },
    );
    request.stream = stream;
    this.#streams.add(stream);
    stream.start();
    // It may have waited for the keys of its token.
    if (this.#isDraining) stream.drain();
  }

  /** Parses a body of one step at once, and schedules a larger one; later bodies of its sender wait for it. */
  #parse(request: Request, head: Head, grant: TokenGrant, packed: Buffer): void {
    const { admission, devices, clock, limits } = this.#options;
    const sender = request.sender!;
    let parser: BodyParser;
    try {
      const body = head.encoding === 'identity' ? packed : unpackBody(packed, head.encoding, limits.bodyBytesMax);
      admission.hold(sender, body.length);
      request.heldBytes = body.length;
      parser = new BodyParser(body, head.format, {
        grant,
        receivedMs: clock.now(),
        clockAheadMs: limits.clockAheadMs,
        reportsMax: limits.reportsPerRequestMax,
        devices,
      });
    } catch (error) {
      this.#fail(request, error);
      return;
    }
    const isSmall = request.heldBytes <= stepBytesMax;
    if (isSmall && (this.#bodies.senders === 0 || !this.#bodies.has(sender)) && this.#step(request, parser)) return;
    this.#bodies.add(sender, () => {
      if (!request.http.isFinished) return request.observation.run(() => this.#step(request, parser));
      // None of its reports are in the log.
      this.#fail(request, clientClosed());
      return true;
    });
  }

  /** Returns whether the body is parsed. */
  #step(request: Request, parser: BodyParser): boolean {
    const { answers, logger, rates, clock } = this.#options;
    const { parsed } = parser;
    try {
      if (!parser.step()) return false;
    } catch (error) {
      this.#fail(request, error);
      return true;
    }
    request.observation.parsed(parsed);
    if (parsed.internalError !== undefined)
      logger.error({ error: parsed.internalError }, 'a report could not be handled');
    const exceeded = rates?.take(parsed.records, clock.monotonic());
    if (exceeded !== undefined) this.#answer(request, answers.rateLimited(exceeded));
    else if (parsed.records.length === 0) this.#answer(request, answers.refused(parsed));
    else this.#append(request, parsed);
    return true;
  }

  #append(request: Request, parsed: ParsedBody): void {
    const { appender, admission, answers } = this.#options;
    const { heldBytes, observation } = request;
    const sender = request.sender!;
    // Held until the log releases the records, which may be after the answer at the deadline.
    request.heldBytes = 0;
    appender
      .append(sender, parsed.records, observation.append(parsed.records.length), () =>
        admission.release(sender, heldBytes),
      )
      .then(
        () => {
          observation.accepted(parsed);
          this.#answer(request, answers.accepted(parsed));
        },
        (error: unknown) => this.#fail(request, error),
      );
  }

  #fail(request: Request, thrown: unknown): void {
    const { answers, logger } = this.#options;
    const { http, observation } = request;
    const error = tailraceErrorFrom(thrown);
    // A framing error comes from the transport; other invalid messages are of the content type or encoding.
    const answer = http.isBroken ? answers.malformed(error) : answers.failed(error);
    if (answer.outcome === 'internal')
      observation.run(() => logger.error({ error: thrown }, 'a request could not be handled'));
    if (answer.status >= 500) observation.failed(error);
    const { stream } = request;
    if (stream === undefined) this.#answer(request, answer);
    else {
      const { exceeded, result } = stream;
      const failed = exceeded === undefined ? answer : answers.rateLimited(exceeded);
      this.#answer(request, answers.streamFailed(failed, error, result));
    }
  }

  #answer(request: Request, { status, headers, body, outcome }: Answer): void {
    const { admission } = this.#options;
    const { http, cors, observation, sender, heldBytes, stream } = request;
    const isSent = stream?.hasHead
      ? http.answerEnd(`${body}\n`)
      : http.answer(status, cors.answer.length === 0 ? headers : [...headers, ...cors.answer], body);
    observation.answered(stream?.hasHead ? 200 : status, isSent ? outcome : 'client_gone');
    // Last: the next request starts after this one is answered and counted.
    if (sender === undefined) return;
    admission.release(sender, heldBytes);
    admission.leave(sender);
  }
}

/**
 * Returns whether the certificate of a request counts. A browser adds the certificate of its user to the requests of
 * any page (CSRF), and the origin of the page: so it counts for the origins that `allowedOrigins` lists by name, for
 * which `*` is not enough, and for programs, which send no origin.
 */
function mayUseCertificate(origin: string, cors: CorsHeaders): boolean {
  return origin === '' || cors.answer[0]?.[1] === origin;
}

/** Returns what the sender presents. Throws `unauthorized` without a credential. */
function presentedOf({ http, cors }: Request): Presented {
  const token = bearerToken(http.header('authorization'));
  if (token !== undefined) return { token };
  const certificate = mayUseCertificate(http.header('origin'), cors) ? http.certificate : undefined;
  if (certificate !== undefined) return { token, certificate };
  throw new TailraceError('unauthorized', 'expected the header "Authorization: Bearer <token>", got none');
}

/** The head of an answer with the progress of a stream. Proxies must not collect its lines. */
const progressAnswer = [
  ['Content-Type', 'application/x-ndjson'],
  ['Cache-Control', 'no-store'],
  ['X-Accel-Buffering', 'no'],
] as const;

/** Returns whether NDJSON is processed while it is received: it is too large to be held, or has no length. */
function isStream(http: HttpExchange, bodyBytesMax: number): boolean {
  const length = http.header('content-length');
  return length === '' ? http.header('transfer-encoding') !== '' : Number(length) > bodyBytesMax;
}

/** Returns whether a header Accept names NDJSON: the sender reads lines of the progress. */
function acceptsLines(accept: string): boolean {
  return /(^|[\s,])application\/(x-)?ndjson\s*(,|;|$)/i.test(accept);
}

function clientClosed(): TailraceError {
  return new TailraceError('closed', 'the client closed the connection');
}
