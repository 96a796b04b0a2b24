import { TailraceError } from '@tailrace/protocol/error';
import type { DefinitionBudget } from '@tailrace/sparkplug/edge-node';
import { SharedLimit } from '../shared-limit.ts';

/** Edge nodes of one host, online or not. */
export const nodesMax = 10_000;
/** Device paths of its nodes and their devices. */
export const pathsMax = 100_000;
/** Memory of the metrics in the births of all nodes, about. */
export const definitionBytesMax = 268_435_456;

/**
 * What the edge nodes of one host use together. Of the nodes that connect to the listener of this process those of one
 * tenant use half at most; a broker is of one operator.
 */
export class HostLimits {
  readonly nodes: SharedLimit;
  readonly paths: SharedLimit;
  readonly definitionBytes: SharedLimit;
  readonly isShared: boolean;

  /** `isShared`: between tenants. */
  constructor(isShared: boolean) {
    this.isShared = isShared;
    const limitOf = (max: number) => (isShared ? new SharedLimit(max) : new SharedLimit(max, max));
    this.nodes = limitOf(nodesMax);
    this.paths = limitOf(pathsMax);
    this.definitionBytes = limitOf(definitionBytesMax);
  }

  /** Throws `limit_reached` where one more path is too many. */
  takePath(tenant: string): void {
    const most = mostOf(this.paths, tenant, 'nodes and devices');
    if (most !== undefined) throw new TailraceError('limit_reached', `Sparkplug: expected ${most}, got another one`);
    this.paths.add(tenant);
  }

  /** Returns why one more node is too many; undefined if it is not. */
  nodesExceeded(tenant: string): string | undefined {
    const most = mostOf(this.nodes, tenant, 'edge nodes');
    return most && `Sparkplug: expected ${most}, got another one`;
  }

  budgetOf(tenant: string): DefinitionBudget {
    return {
      exceeded: (bytes) => mostOf(this.definitionBytes, tenant, 'bytes', bytes),
      add: (bytes) => this.definitionBytes.add(tenant, bytes),
    };
  }
}

/** Returns what is expected where `amount` more are too many, as `at most 10 nodes of one tenant`; else undefined. */
function mostOf(limit: SharedLimit, tenant: string, noun: string, amount = 1): string | undefined {
  const exceeded = limit.exceeded(tenant, amount);
  return exceeded && `at most ${exceeded.max} ${noun} of ${exceeded.of === 'one sender' ? 'one tenant' : 'the host'}`;
}
