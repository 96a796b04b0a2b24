import type { TailraceError } from '@tailrace/protocol/error';
import type { Missing } from '@tailrace/protocol/server-message-json';

/** Why a connection was lost. */
export interface Loss {
  /** WebSocket close code: the server's, 4001 for a heartbeat timeout of this client, 1006 for a failed connection. */
  readonly code: number;
  /** A sentence for people. */
  readonly message: string;
  /** Whether the client may reconnect. */
  readonly mayReconnect: boolean;
}

/**
 * - `connecting`: a socket is being opened, or waits for `welcome`.
 * - `live`: after `welcome`; subscriptions are served. Reported again, with another node, after a move.
 * - `waiting`: disconnected; the next attempt starts at `retryAt` (epoch ms by this machine's clock).
 * - `closed`: permanently, by `close()` or a close code without reconnect (44xx).
 */
export type StreamState =
  | { readonly name: 'connecting'; readonly attempt: number }
  | { readonly name: 'live'; readonly session: string; readonly node: string }
  | { readonly name: 'waiting'; readonly attempt: number; readonly retryAt: number; readonly loss: Loss }
  | { readonly name: 'closed'; readonly loss: Loss };

/** The server's reply to a subscription. `recovered`, `missing` and `error` are reported once per reply. */
export interface Answered {
  /** Number of devices in the snapshot. */
  readonly devices: number;
  /** After a reconnect, or with `after`: whether the whole backlog follows. */
  readonly recovered?: boolean;
  /** Ranges of the backlog that cannot be delivered. */
  readonly missing?: readonly Missing[];
  /** Why `recovered` is false without `missing`. `invalid_position`: the server refused `after`. */
  readonly error?: TailraceError;
}

/**
 * - `waiting`: requested without a reply yet, or disconnected. Displayed values may be out of date.
 * - `replaying`: reports are history, as requested by `from` or `speed`.
 * - `live`: reports are current.
 * - `interrupted`: the connection works, but since `since` (epoch ms by the server's clock) the server does not receive
 *   these partitions. Devices may report without being seen.
 * - `paused`: by `pause()`.
 * - `failed`: refused, or the server closed the stream permanently, as for an invalid token. It is requested again
 *   where the error is retryable, and after `reconnect` of a closed stream.
 * - `ended`: unsubscribed, or the stream is closed.
 */
export type SubscriptionState =
  | { readonly name: 'waiting' }
  | ({ readonly name: 'replaying' } & Answered)
  | ({ readonly name: 'live' } & Answered)
  | { readonly name: 'interrupted'; readonly since: number; readonly partitions: readonly number[] }
  | { readonly name: 'paused' }
  | { readonly name: 'failed'; readonly error: TailraceError }
  | { readonly name: 'ended' };
