import type { Log } from '@tailrace/platform/log';
import type { Claims } from '@tailrace/platform/token';
import type { CloseCode } from '@tailrace/protocol/close';
import type { Hub } from './hub.ts';

/** What all sessions of a node share. */
export interface SessionParts {
  readonly hub: Pick<Hub, 'subscribe' | 'unsubscribe'>;
  readonly verify: (token: string) => Promise<Claims>;
  readonly now: () => number;
  readonly node: string;
  readonly version: string;
  readonly heartbeatMs: number;
  readonly messageBytesMax: number;
  readonly subscriptionsMax: number;
  readonly log: Log;
}

/** RFC 6455, section 7.4.1: the server met what it did not expect. */
export const faultClose: CloseCode = { code: 1011, reason: 'a fault of the server; come back', mayReconnect: true };
