import type { FactCounts } from './fact-counts.ts';

/** `full`: `make attack`; `small`: part of `make test`, the same steps, fewer of them. */
export type AttackSize = 'full' | 'small';

/** The target: the product in one process, or its services on a real Kafka and NATS. */
export type TargetKind = 'standalone' | 'stack';

/** Ports of a target, on loopback. */
export interface TargetAddresses {
  readonly ingestPort: number;
  readonly streamPort: number;
  /** Undefined where the target has no MQTT. */
  readonly mqttPort: number | undefined;
  /** Health checks and metrics of the process that serves the streams. */
  readonly internalPort: number;
  /** Undefined where the target has no dashboard. */
  readonly dashboardPort: number | undefined;
}

/** Claims of the attacker's token, all within tenant `a`. */
export interface AttackerRights {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

/** Input of an attack, in the process of the attacker. */
export interface AttackContext {
  readonly addresses: TargetAddresses;
  readonly size: AttackSize;
  /** A valid token with the rights of the attack. */
  readonly token: string;
  /** Further tokens of the same subject, as many as the attack defines. */
  readonly tokens: readonly string[];
  /** Refusals of the server, and other counts. */
  readonly counts: FactCounts;
  /** Whether the time of the attack has expired: it must return then. */
  isExpired(): boolean;
  /** Resolves after `ms`, and no later than the end of the attack. */
  sleep(ms: number): Promise<void>;
}

/** A client of another user that connects again and again, and must get its last values. */
export interface Visit {
  readonly channel: string;
  /** Rights of its token. Default: the channel. */
  readonly subscribe?: readonly string[];
  /** Further fields of the subscribe message. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** A page that must answer 200 within a second, as a kubelet expects. */
export type ProbedPage = 'livez' | 'readyz' | 'dashboard';

/** Times of one size, ms. */
export interface AttackTimes {
  readonly attackMs: number;
}

/**
 * One way to harm others with a narrow token, or with none. It is bounded in rate and time, and returns by itself. What
 * honest clients must see meanwhile is the same for all attacks (`judgement.ts`).
 */
export interface Attack {
  readonly name: string;
  /** One line for the table and the help. */
  readonly words: string;
  readonly targets: readonly TargetKind[];
  readonly rights?: AttackerRights;
  /** Number of further tokens of the same subject. */
  readonly tokens?: number;
  /** Duration. Default: 10 s, in small 700 ms. */
  readonly attackMs?: Readonly<Record<AttackSize, number>>;
  /** Creates what the attack needs, such as reports in the log. Its time is not measured. */
  prepare?(context: AttackContext): Promise<void>;
  run(context: AttackContext): Promise<void>;
  /**
   * Refusals that the attacker must get, each at least once. Empty: all that it does is allowed, and bounded.
   */
  readonly refusals: readonly string[];
  /** Facts that must not be among the counts, such as a byte of another tenant. */
  readonly forbidden?: readonly string[];
  /** Facts that must be counted, each at least once. */
  readonly expected?: readonly string[];
  /** Metrics of the target that must grow. */
  readonly grown?: readonly string[];
  /** By how much the resident memory of the target may grow, MB. Default: 200. */
  readonly rssGrowthMbMax?: number;
  /** Heap of the target's processes, MB. Default: that of Node.js. */
  readonly heapMb?: number;
  /**
   * The largest receive buffer of a socket, bytes, as SECURITY.md requires it. The attack runs in a network namespace
   * with that limit.
   */
  readonly receiveBufferBytes?: number;
  readonly visits?: readonly Visit[];
  readonly probes?: readonly ProbedPage[];
  /** How the target is stopped before it is started again. Default: SIGTERM. */
  readonly stopSignal?: 'SIGTERM' | 'SIGKILL';
}

export const attackMsDefault: Readonly<Record<AttackSize, number>> = { full: 10_000, small: 700 };
export const rssGrowthMbMaxDefault = 200;
