import type { Bus } from '@tailrace/bus/bus';
import type { Clock } from '@tailrace/platform/clock';
import type { Metrics } from '@tailrace/platform/metrics';
import { createRevocationList, type Revocations } from '@tailrace/platform/revocation';
import { Broadcasts } from '../broadcast/broadcasts.ts';
import type { FanoutSettings } from '../config.ts';
import type { SessionAccess } from '../sessions/session.ts';
import type { Sessions } from '../sessions/sessions.ts';
import { Operators } from './operators.ts';
import { RateLimit } from './ratelimit.ts';
import { Users } from './users.ts';

export interface AccessParts {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly random: () => number;
  readonly config: FanoutSettings;
  readonly sessions: Sessions;
  /** Shared with other services of the process. Default: one of its own. */
  readonly revocations?: Revocations | undefined;
}

/** Who is let in, for how long, and how much of it: what the node's sessions, operators and broadcasts share. */
export class Access {
  readonly counts = { overRate: 0 };
  readonly revocations: Revocations;
  readonly users: Users;
  readonly broadcasts: Broadcasts;
  readonly operators: Operators;
  /** For the sessions. */
  readonly session: SessionAccess;

  constructor({ bus, clock, metrics, random, config, sessions, revocations }: AccessParts) {
    this.revocations = revocations ?? createRevocationList({ clock, metrics, entriesMax: config.revocationsMax });
    this.users = new Users(config);
    this.broadcasts = new Broadcasts({
      bus,
      node: config.node,
      era: eraFrom(random),
      now: () => clock.monotonic(),
      askDeadlineMs: config.askDeadlineMs,
      broadcastsMax: config.broadcastsMax,
      holding: () => this.operators.holding(),
      digest: () => this.revocations.digest,
      onBroadcast: (broadcast) => this.operators.heard(broadcast),
    });
    this.operators = new Operators({
      revocations: this.revocations,
      sessions,
      clock,
      send: (content) => this.broadcasts.send(content),
    });
    const { messagesPerSecondMax, subscriptionsMax } = config;
    this.session = {
      messageRate: new RateLimit(messagesPerSecondMax, 2 * (messagesPerSecondMax + subscriptionsMax)),
      users: this.users,
      watch: (session) => sessions.watch(session),
      overRate: () => {
        this.counts.overRate++;
      },
    };
  }

  async stop(): Promise<void> {
    this.operators.stop();
    await this.broadcasts.stop();
  }
}

/** 93 bits: two starts of a node never have the same. */
function eraFrom(random: () => number): string {
  return Array.from({ length: 3 }, () => Math.floor(random() * 2 ** 31).toString(36)).join('-');
}
