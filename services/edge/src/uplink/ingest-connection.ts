import type { CommandAnswer, DeviceAck, DeviceCommand } from '@tailrace/client/device';
import type { Clock } from '@tailrace/platform/clock';
import type { TailraceError } from '@tailrace/protocol/error';
import type { TlsFiles } from './tls-files.ts';

/** Why there is no session. */
export interface IngestLoss {
  /** A close code of docs/PROTOCOL.md, whatever the protocol; 1006 for a connection that was lost. */
  readonly code: number;
  readonly message: string;
}

export type IngestState =
  | { readonly name: 'idle' | 'connecting' | 'closed' }
  /** `messagesPerSecond`: reports of each device that ingest accepts. */
  | { readonly name: 'live'; readonly node: string; readonly messagesPerSecond: number }
  /** For the next attempt. */
  | { readonly name: 'waiting'; readonly loss: IngestLoss }
  /** Ingest refuses the gateway, or another one has its identity. Only `reconnect` leaves it. */
  | { readonly name: 'stopped'; readonly loss: IngestLoss };

/** What every connection takes. */
export interface IngestConnectionOptions {
  /** The URL of ingest, with the protocol in its scheme and path. */
  readonly url: string;
  /** Certificates of connections with TLS. Undefined: those of Node.js. */
  readonly tls?: TlsFiles | undefined;
  /** The path of the gateway. */
  readonly device: string;
  /** A function is called before each attempt. */
  readonly token: string | (() => Promise<string>);
  readonly onState: (state: IngestState) => void;
  /** Undefined: the gateway takes no commands. */
  readonly onCommand: ((command: DeviceCommand, answer: CommandAnswer) => void) | undefined;
  /** Called for errors that are not the answer to a batch. */
  readonly onError: (error: TailraceError) => void;
  readonly clock: Clock;
  readonly random: () => number;
}

/**
 * The port to ingest: one session at a time, which connects again by itself. What has no answer when a session is lost
 * is answered with `lost`, and never sent again by the connection. `test/edge-uplink.itest.ts` has what each adapter
 * keeps.
 */
export interface IngestConnection {
  readonly state: IngestState;
  /** Bytes of batches without an answer, as sent. */
  readonly queuedBytes: number;
  start(): void;
  /**
   * Connects at once, while it waits or after it was stopped; the next backoff starts from its first step. `force`:
   * leaves a session or an attempt, too, as one on a link that was lost and is back.
   */
  reconnect(options?: { readonly force?: boolean }): void;
  /**
   * Sends encoded reports with one answer for all. `id`: the same when they are sent again, so that ingest recognizes
   * them. Rejects with `too_large` for more than one message may have, and with `closed`.
   */
  batch(id: string, reports: readonly Uint8Array[]): Promise<DeviceAck>;
  /** Announces whether a device behind the gateway can be reached: in this session, and in each later one again. */
  presence(device: string, isOnline: boolean): void;
  /** Closes the session in order. Idempotent. */
  close(): Promise<void>;
}
