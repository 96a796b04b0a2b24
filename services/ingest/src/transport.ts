import type { BodyOwner, BodyReader } from '@tailrace/platform/body-reader';
import type { ConnectionCounts } from '@tailrace/platform/connection-metrics';
import type { RefusedStatus } from '@tailrace/platform/http-refusal';
import type { Headers } from '@tailrace/platform/web-response';
import type { TailraceError } from '@tailrace/protocol/error';

/**
 * What ingest needs of a network: HTTP requests in, answers out. `HttpServer` of packages/platform is the one with
 * sockets (`http-transport.ts`), `memory-transport.ts` the one within a process; both keep what
 * `test/transport-contract.ts` asks.
 */
export interface Transport {
  /** Resolves with the port, or 0 where there is none. Rejects with `address_in_use` and `invalid_config`. Called at most once. */
  listen(handlers: TransportHandlers): Promise<number>;
  /** From now on each answer closes its connection, so that a client finds another server for its next request. */
  closeAfterAnswers(): void;
  /** Accepts no new connection. Resolves when every request that was received is answered. */
  drain(): Promise<void>;
  /** Closes every connection; requests that are not answered get no answer. Idempotent. */
  close(): void;
  /** For metrics. */
  readonly connections: ConnectionCounts;
  /** For metrics. */
  readonly bodies: Pick<BodyReader, 'unfinishedBytes' | 'terminated'>;
}

export interface TransportHandlers {
  /** A request with a whole head. What it throws is logged and answered with 500. */
  request(exchange: HttpExchange): void;
  /** The transport has refused bytes before they became a request. */
  refused(status: RefusedStatus): void;
  /** Returns whether a limit of the service is near: slow bodies are terminated early then. */
  isNearLimit(): boolean;
}

/** One request and its answer. */
export interface HttpExchange {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** The client's address, as limits count it. Computed at each call. */
  readonly address: string;
  /** Answered, or its connection is closed. */
  readonly isOver: boolean;
  /** The framing of the request is invalid. */
  readonly isBroken: boolean;
  /** Returns '' for a header that is not there. */
  header(lowerCaseName: string): string;
  /**
   * Reads the body within its bounds, and calls `done` once, with the errors of `BodySink`; not at all if the request
   * is over. Called at most once.
   */
  readBody(
    bytesMax: number,
    owner: BodyOwner | undefined,
    done: (error: TailraceError | undefined, body: Buffer) => void,
  ): void;
  /** Answers. Returns false, and does nothing, if the request is over. */
  answer(status: number, headers: Headers, body?: string): boolean;
}
