import type { TailraceError } from '@tailrace/protocol/error';
import type { Missing } from '@tailrace/protocol/server-message-json';

/** Why a connection is no more. */
export interface Loss {
  /** WebSocket close code: the server's, 4001 where its silence was noticed here, 1006 where there never was a word. */
  readonly code: number;
  /** One sentence for people. */
  readonly message: string;
  /** Whether coming back by oneself may help. */
  readonly mayReconnect: boolean;
}

/**
 * - `connecting`: a socket is being opened, or is open and not yet welcome.
 * - `live`: welcome; subscriptions are served. Told again, with another node, where the stream has moved.
 * - `waiting`: lost; the next attempt begins at `retryAt` (epoch ms of this machine's clock).
 * - `closed`: for good; by `close()`, or because the server said that coming back is of no use (44xx).
 */
export type StreamState =
  | { readonly name: 'connecting'; readonly attempt: number }
  | { readonly name: 'live'; readonly session: string; readonly node: string }
  | { readonly name: 'waiting'; readonly attempt: number; readonly retryAt: number; readonly loss: Loss }
  | { readonly name: 'closed'; readonly loss: Loss };

/** The server's answer to a subscription. Of the two that say something about the past, each answer is told once. */
export interface Answered {
  /** In the snapshot that comes first. */
  readonly devices: number;
  /** After a reconnect, or with `after`: whether everything that was missed follows. */
  readonly recovered?: boolean;
  /** Where it does not: what cannot be had. */
  readonly missing?: readonly Missing[];
  /** Where `recovered` is false without `missing`: why. `invalid_position`: the server refused `after`. */
  readonly error?: TailraceError;
}

/**
 * - `waiting`: asked for, not yet answered, or the connection is lost. What was shown may be old.
 * - `replaying`: answered; what comes is of the past, as `from` or a `speed` asked for.
 * - `live`: answered; what comes is of now.
 * - `interrupted`: the connection is well, but since `since` (epoch ms, the server's clock) the server itself cannot hear these partitions: that
 *   a device is silent says nothing of it.
 * - `paused`: by `pause()`.
 * - `failed`: refused, or the server closed the stream for good, as with a token that is not valid. It is requested
 *   again where the error is retryable, and after `reconnect` of a closed stream.
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
