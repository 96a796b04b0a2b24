import type { Log } from '@tailrace/platform/log';
import type { Claims } from '@tailrace/platform/token';
import type { CloseCode } from '@tailrace/protocol/close';
import type { RateLimit } from '../access/ratelimit.ts';
import type { Users } from '../access/users.ts';
import type { WorkScheduler } from '../catchup/work-scheduler.ts';
import type { Hub } from '../channels/hub.ts';
import type { Placement } from '../placement/placement.ts';
import type { Expiring } from './expiries.ts';
import type { SessionCounts } from './sessioncounts.ts';

/** What all sessions of a node are held to. */
export interface SessionAccess {
  /** Of one connection: messages, pings and pongs. */
  readonly messageRate: RateLimit;
  readonly users: Users;
  /** A session has a token now, or another one: it is warned before it ends, and let go when it has. */
  watch(session: Expiring): void;
  /** A session went beyond `messageRate`. */
  overRate(): void;
}

/** What all sessions of a node share. */
export interface SessionParts {
  readonly hub: Pick<Hub, 'subscribe' | 'unsubscribe' | 'fallBehind' | 'pause' | 'resume' | 'position'>;
  readonly placement: Placement;
  readonly work: Pick<WorkScheduler, 'queue'>;
  readonly verify: (token: string) => Promise<Claims>;
  readonly now: () => number;
  readonly node: string;
  readonly version: string;
  readonly heartbeatMs: number;
  readonly messageBytesMax: number;
  readonly subscriptionsMax: number;
  readonly viewsPerConnectionMax: number;
  readonly log: Log;
  readonly access: SessionAccess;
  readonly counts: SessionCounts;
}

/** RFC 6455, section 7.4.1: the server met what it did not expect. */
export const faultClose: CloseCode = { code: 1011, reason: 'a fault of the server; come back' };
