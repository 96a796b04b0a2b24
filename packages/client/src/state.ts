import type { TailraceError } from '@tailrace/protocol/error';
import type { Missing } from '@tailrace/protocol/servermessage';

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
 * - `live`: welcome; subscriptions are served.
 * - `waiting`: lost; the next attempt begins at `retryAt` (epoch ms of this machine's clock).
 * - `closed`: for good; by `close()`, or because the server said that coming back is of no use (44xx).
 */
export type StreamState =
  | { readonly name: 'connecting'; readonly attempt: number }
  | { readonly name: 'live'; readonly session: string; readonly node: string }
  | { readonly name: 'waiting'; readonly attempt: number; readonly retryAt: number; readonly loss: Loss }
  | { readonly name: 'closed'; readonly loss: Loss };

/**
 * - `waiting`: asked for, not yet answered, or the connection is lost. What was shown may be old.
 * - `live`: answered; `devices` are in the snapshot that comes first. After a reconnect `recovered` says whether everything that was missed
 *   follows; where it does not, `missing` names what cannot be had.
 * - `failed`: refused. It is asked for again by itself where the error is retryable, else not.
 * - `ended`: unsubscribed, or the stream is closed.
 */
export type SubscriptionState =
  | { readonly name: 'waiting' }
  | {
      readonly name: 'live';
      readonly devices: number;
      readonly recovered?: boolean;
      readonly missing?: readonly Missing[];
    }
  | { readonly name: 'failed'; readonly error: TailraceError }
  | { readonly name: 'ended' };
