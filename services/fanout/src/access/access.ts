import { ControlTopic } from '@tailrace/eventlog/control-topic';
import type { EventLog } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import { DeviceCredentials } from '@tailrace/platform/device-credentials';
import type { Logger } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';
import { RateLimit } from '@tailrace/platform/rate-limit';
import { createRevocationList, type Revocations } from '@tailrace/platform/revocation';
import type { FanoutSettings } from '../config.ts';
import type { SessionAccess } from '../sessions/session.ts';
import type { Sessions } from '../sessions/sessions.ts';
import { DeviceTokens } from './device-tokens.ts';
import { ControlActions, Operators } from './operators.ts';
import { Users } from './users.ts';

export interface AccessOptions {
  readonly eventLog: EventLog;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** In [0, 1). */
  readonly random: () => number;
  readonly config: FanoutSettings;
  readonly sessions: Sessions;
}

/** Access control of a node: device tokens, revocations, quotas of users, rate limits, and requests of operators. */
export class Access {
  readonly counts = { overRate: 0 };
  readonly revocations: Revocations;
  readonly credentials: DeviceCredentials;
  readonly users: Users;
  readonly operators: Operators;
  readonly deviceTokens: DeviceTokens;
  readonly actions: ControlActions;
  /** The part that sessions use. */
  readonly session: SessionAccess;
  readonly #control: ControlTopic;
  readonly #random: () => number;

  constructor({ eventLog, clock, logger, metrics, random, config, sessions }: AccessOptions) {
    this.#random = random;
    this.revocations = createRevocationList({ clock, metrics, entriesMax: config.revocationsMax });
    const { revocations } = this;
    const credentials = new DeviceCredentials({ clock, revocations, entriesMax: config.credentialsMax, metrics });
    this.credentials = credentials;
    this.users = new Users(config);
    const actions = new ControlActions({ revocations: this.revocations, sessions, clock });
    this.actions = actions;
    this.#control = new ControlTopic({
      eventLog,
      topicPrefix: config.topicPrefix,
      clock,
      logger,
      metrics,
      onCredentials: (entries) => credentials.merge(entries),
      onRevocations: (entries) => {
        credentials.revoke(entries);
        actions.onRevocations(entries);
      },
      onCommandSwitch: (state) => actions.onCommandSwitch(state),
      onNotice: (notice) => actions.onNotice(notice),
    });
    this.operators = new Operators({ clock, control: this.#control });
    this.deviceTokens = new DeviceTokens({
      clock,
      control: this.#control,
      credentials,
      revocations,
      expiryRequired: config.tokenExpiryRequired,
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

  /** Resolves when the control topic has been read to its end. Rejects as `ControlTopic.start` does. */
  async start(): Promise<void> {
    await this.#control.start();
    this.#control.startCleanup(this.#random);
  }

  stop(): void {
    this.#control.stop();
    this.actions.stop();
  }
}
