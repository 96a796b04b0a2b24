import type { FactCounts } from './fact-counts.ts';

/** `full` is what `make attack` does; `small` is part of `make test`: the same steps, fewer of them. */
export type AttackSize = 'full' | 'small';

/** What is attacked: the product in one process, or its services on a real Kafka and NATS. */
export type TargetKind = 'standalone' | 'stack';

/** Where a target is reached, on loopback. */
export interface TargetAddresses {
  readonly ingestPort: number;
  readonly streamPort: number;
  /** Health checks and metrics of the process that serves the streams. */
  readonly internalPort: number;
  /** Undefined where the target has no dashboard. */
  readonly dashboardPort: number | undefined;
}

/** Claims of the attacker's token. It never covers anything outside of tenant `a`. */
export interface AttackerRights {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

/** What the code of an attack has, in the process of the attacker. */
export interface AttackContext {
  readonly addresses: TargetAddresses;
  readonly size: AttackSize;
  /** A valid token with the rights of the attack. */
  readonly token: string;
  /** Further tokens of the same subject, as many as the attack asks for. */
  readonly tokens: readonly string[];
  /** How the server refused, and what else was counted. */
  readonly counts: FactCounts;
  /** Whether the time of the attack is up: it ends by itself then. */
  isOver(): boolean;
  /** Resolves after so many ms, and no later than the end of the attack. */
  sleep(ms: number): Promise<void>;
}

/** A client that is not the attacker's, connects again and again, and has to get its last values. */
export interface Visit {
  readonly channel: string;
  /** Of the token; by default the channel alone. */
  readonly subscribe?: readonly string[];
  /** More fields of the subscribe message. */
  readonly options?: Readonly<Record<string, unknown>>;
}

/** A page that has to answer 200 within a second, as a kubelet asks for it. */
export type ProbedPage = 'livez' | 'readyz' | 'dashboard';

/** Times of one size, ms. */
export interface AttackTimes {
  readonly attackMs: number;
}

/**
 * One way to harm others with a narrow token, or with none. It is bounded in rate and time, and ends by itself. What
 * an honest client has to see meanwhile is the same for all attacks (`judgement.ts`).
 */
export interface Attack {
  readonly name: string;
  /** One line for the table and the help. */
  readonly words: string;
  readonly targets: readonly TargetKind[];
  readonly rights?: AttackerRights;
  /** Further tokens of the same subject that it needs. */
  readonly tokens?: number;
  /** How long it goes on. Default: 10 s, in small 700 ms. */
  readonly attackMs?: Readonly<Record<AttackSize, number>>;
  /** What has to be there before, such as reports in the log. Its time is not measured. */
  prepare?(context: AttackContext): Promise<void>;
  run(context: AttackContext): Promise<void>;
  /**
   * How the attacker has to be refused: each of these at least once. Empty: all that it does is allowed, and bounded.
   */
  readonly refusals: readonly string[];
  /** Facts that must not be among the counts, such as a byte of another tenant. */
  readonly forbidden?: readonly string[];
  /** Facts of which there has to be at least one. */
  readonly expected?: readonly string[];
  /** Metrics of the target that have to have grown, or be above 0. */
  readonly grown?: readonly string[];
  /** By how much the resident memory of the target may grow, MB. Default: 200. */
  readonly rssGrowthMbMax?: number;
  /** Heap of the target's processes, MB. Default: that of Node.js. */
  readonly heapMb?: number;
  /**
   * The largest receive buffer that the kernel gives a socket, as SECURITY.md asks for it. The attack is then run in a
   * network namespace that has it.
   */
  readonly receiveBufferBytes?: number;
  readonly visits?: readonly Visit[];
  readonly probes?: readonly ProbedPage[];
  /** How the target is ended before it is started again. Default: SIGTERM. */
  readonly endedBy?: 'SIGTERM' | 'SIGKILL';
}

export const attackMsDefault: Readonly<Record<AttackSize, number>> = { full: 10_000, small: 700 };
export const rssGrowthMbMaxDefault = 200;
