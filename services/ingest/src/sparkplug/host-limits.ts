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

  /** `isShared`: between tenants. */
  constructor(isShared: boolean) {
    const limitOf = (max: number) => (isShared ? new SharedLimit(max) : new SharedLimit(max, max));
    this.nodes = limitOf(nodesMax);
    this.paths = limitOf(pathsMax);
    this.definitionBytes = limitOf(definitionBytesMax);
  }

  /** Throws `limit_reached` where one more path is too many. */
  takePath(tenant: string): void {
    const exceeded = this.paths.exceeded(tenant);
    if (exceeded !== undefined)
      throw new TailraceError(
        'limit_reached',
        `Sparkplug: expected at most ${exceeded.max} nodes and devices of ${exceeded.of}, got another one`,
      );
    this.paths.add(tenant);
  }

  budgetOf(tenant: string): DefinitionBudget {
    return {
      exceeded: (bytes) => {
        const exceeded = this.definitionBytes.exceeded(tenant, bytes);
        return exceeded && `at most ${exceeded.max} bytes of ${exceeded.of}`;
      },
      add: (bytes) => this.definitionBytes.add(tenant, bytes),
    };
  }
}
