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
  /** Epoch ms. Default: now, and an hour later. */
  readonly issuedAtMs?: number;
  readonly expiresAtMs?: number;
}

/** What a target signs for these options. */
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

/** The product, started as its users start it. */
export interface Target {
  readonly kind: TargetKind;
  readonly addresses: TargetAddresses;
  /** Of the services, not of Kafka and NATS. */
  readonly pids: readonly number[];
  /** Ports of their health checks and metrics. */
  readonly internalPorts: readonly number[];
  /** A token that this target takes. */
  issueToken(options: TargetTokenOptions): Promise<string>;
  /**
   * Ends the services by this signal and starts them on the same data. Resolves with the time that the start took, ms.
   */
  restart(signal: 'SIGTERM' | 'SIGKILL'): Promise<number>;
  stop(): Promise<void>;
}

export interface TargetOptions {
  /** For data and logs. */
  readonly folder: string;
  /** Heap of each service, MB. Undefined: what Node.js takes. */
  readonly heapMb: number | undefined;
  /** Over the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
}
