import type { BodyOwner, BodyReader } from '@tailrace/platform/body-reader';
import type { BodyStream, StreamSink } from '@tailrace/platform/body-stream';
import type { ClientCertificate } from '@tailrace/platform/client-certificate';
import type { ConnectionCounts } from '@tailrace/platform/connection-metrics';
import type { RefusedStatus } from '@tailrace/platform/http-refusal';
import type { HandshakeCounts } from '@tailrace/platform/tls-listener';
import type { Headers } from '@tailrace/platform/web-response';
import type { TailraceError } from '@tailrace/protocol/error';
import type { Answer } from './answers.ts';
import type { AcceptedUpgrade, UpgradeHead } from './devices/device-socket.ts';

/**
 * The port to the network: receives HTTP requests and sends answers, and opens the WebSockets of devices. Adapters:
 * `HttpServer` of packages/platform, with sockets (`http-transport.ts`), and `memory-transport.ts`, within a process.
 * Both pass `test/transport-contract.ts` and `test/device-socket-contract.ts`.
 */
export interface Transport {
  /**
   * Resolves with the port; 0: the adapter has none. Rejects with `address_in_use` and `invalid_config`. Called at most
   * once.
   */
  listen(handlers: TransportHandlers): Promise<number>;
  /** Makes each further answer close its connection, so that a client finds another server for its next request. */
  closeAfterAnswers(): void;
  /**
   * Accepts no new connections. Resolves when every received request is answered, and every WebSocket closed, which is
   * for those that opened them.
   */
  drain(): Promise<void>;
  /** Closes every connection, without an answer to requests in progress. Idempotent. */
  close(): void;
  /** The port with TLS, once it listens; 0 without one. */
  readonly tlsPort: number;
  /** For metrics. */
  readonly connections: ConnectionCounts;
  /** For metrics. */
  readonly handshakes: HandshakeCounts;
  /** For metrics. */
  readonly bodies: Pick<BodyReader, 'unfinishedBytes' | 'terminated'>;
}

export interface TransportHandlers {
  /** Called for each request with a complete head. An error that it throws is logged and answered with 500. */
  request(exchange: HttpExchange): void;
  /**
   * Called for each request for a WebSocket. Returns the accepted one, or the answer that refuses it. Undefined: it is
   * passed to `request`, as all are without this method. An error that it throws is logged and answered with 500.
   */
  upgrade?(head: UpgradeHead): AcceptedUpgrade | Answer | undefined;
  /** Called for each request that the transport has refused. */
  refused(status: RefusedStatus): void;
  /** Returns whether the service is near a limit: then slow bodies are terminated early. */
  isNearLimit(): boolean;
}

/** One request and its answer. */
export interface HttpExchange {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** The address of the client, as limits count it. Computed at each call. */
  readonly address: string;
  /**
   * The certificate of the client; undefined for none. The same object for one connection. Throws `unauthorized` for an
   * invalid one that a proxy has passed.
   */
  readonly certificate: ClientCertificate | undefined;
  /** Whether it is answered, or its connection is closed. */
  readonly isFinished: boolean;
  /** Whether the framing of the request is invalid. */
  readonly isBroken: boolean;
  /** Returns the value of a header; '' for a missing one. */
  header(lowerCaseName: string): string;
  /**
   * Reads the body within its limits. Calls `done` once, with the errors of `BodySink`; not at all for a finished
   * request. Called at most once.
   */
  readBody(
    bytesMax: number,
    owner: BodyOwner | undefined,
    done: (error: TailraceError | undefined, body: Buffer) => void,
  ): void;
  /**
   * Reads the body as it arrives, without a limit of its size, instead of `readBody`. Returns undefined for a finished
   * request, whose sink is not called.
   */
  streamBody(sink: StreamSink, owner: BodyOwner): BodyStream | undefined;
  /** Sends the answer. Returns false, and does nothing, for a finished request. */
  answer(status: number, headers: Headers, body?: string): boolean;
  /**
   * Starts an answer whose parts follow, before the body is complete. Returns false, and does nothing, for a finished
   * request, and for one of HTTP/1.0.
   */
  answerHead(status: number, headers: Headers): boolean;
  /**
   * Sends a part of a started answer. Returns false for a finished request, and if the part is left out because 64 KiB
   * wait for the client.
   */
  answerPart(text: string): boolean;
  /** Sends the last part of a started answer. Returns false, and does nothing, for a finished request. */
  answerEnd(text: string): boolean;
}
