import { systemClock } from '@tailrace/platform/clock';
import type { TokenIssue } from '@tailrace/platform/token';
import type { TargetAddresses, TargetKind } from './attack-definition.ts';

export interface TargetTokenOptions {
  readonly subject: string;
  readonly tenant?: string;
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  readonly tokenId?: string;
  readonly roles?: readonly string[];
  /** Epoch ms. Default: now, and one hour later. */
  readonly issuedAtMs?: number;
  readonly expiresAtMs?: number;
}

/** Returns the token options of a target. */
export function tokenIssueOf(secret: string, options: TargetTokenOptions): TokenIssue {
  const { subject, publish, subscribe, tenant, tokenId, roles, issuedAtMs = Date.now() } = options;
  const { expiresAtMs = issuedAtMs + 3_600_000 } = options;
  return {
    ...{ secret, subject, publish, subscribe, expiresInMs: expiresAtMs - issuedAtMs },
    clock: { ...systemClock, now: () => issuedAtMs },
    ...(tenant === undefined ? {} : { tenant }),
    ...(tokenId === undefined ? {} : { tokenId }),
    ...(roles === undefined ? {} : { roles }),
  };
}

/** The product, started as users start it. */
export interface Target {
  readonly kind: TargetKind;
  readonly addresses: TargetAddresses;
  /** Process IDs of the services, not of Kafka and NATS. */
  readonly pids: readonly number[];
  /** Ports of their health checks and metrics. */
  readonly internalPorts: readonly number[];
  /** Signs a token that this target accepts. */
  issueToken(options: TargetTokenOptions): Promise<string>;
  /**
   * Stops the services by this signal and starts them on the same data. Resolves with the duration of the start, ms.
   */
  restart(signal: 'SIGTERM' | 'SIGKILL'): Promise<number>;
  stop(): Promise<void>;
}

export interface TargetOptions {
  /** Folder for data and logs. */
  readonly folder: string;
  /** Heap of each service, MB. Undefined: the default of Node.js. */
  readonly heapMb: number | undefined;
  /** Overrides the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
}
