import type { Bus } from '@tailrace/bus/bus';
import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { tailrace } from '@tailrace/protocol/generated';
import { invalidPathReason } from '@tailrace/protocol/path';
import type { ClaimingSession, SessionRegistry } from '../devices/session-registry.ts';
import type { PeerCounts } from './peer-metrics.ts';
import type { SessionDigest } from './session-digest.ts';
import type { PeerNode, SessionDirectory } from './session-directory.ts';
import { nodeSubject } from './subjects.ts';

const { IngestReply, IngestRequest } = tailrace.v1;

const listMs = 5_000;
/** After a list the next one of the node waits for this time. */
const pauseMs = 5_000;
/**
 * Announcements in succession with another digest: a claim may have been published between the announcement and what
 * this node has received.
 */
const differencesMax = 2;

interface Comparison {
  differences: number;
  isBusy: boolean;
  /** When it may be requested, monotonic ms. */
  nextMs: number;
}

export interface SessionListOptions {
  readonly bus: Pick<Bus, 'request'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly directory: SessionDirectory;
  readonly registry: Pick<SessionRegistry<ClaimingSession>, 'openedElsewhere'>;
  readonly counts: Pick<PeerCounts, 'lists'>;
}

/** Requests all open sessions of a node that this node knows differently: after its start, or if messages were lost. */
export class SessionList {
  readonly #options: SessionListOptions;
  readonly #comparisons = new WeakMap<PeerNode, Comparison>();

  constructor(options: SessionListOptions) {
    this.#options = options;
  }

  /** Called for each announcement, with the digest in it. */
  check(node: PeerNode, announced: Pick<SessionDigest, 'high' | 'low' | 'sessions'>): void {
    const { directory, clock } = this.#options;
    const known = this.#comparisons.get(node);
    // A node that is new is not compared first: what it had before this node knew it cannot be known.
    const comparison = known ?? { differences: differencesMax - 1, isBusy: false, nextMs: 0 };
    if (known === undefined) this.#comparisons.set(node, comparison);
    if (node.digest.equals(announced)) {
      comparison.differences = 0;
      return;
    }
    comparison.differences++;
    const isDue = comparison.differences >= differencesMax && clock.monotonic() >= comparison.nextMs;
    if (!isDue || comparison.isBusy || directory.isFull) return;
    comparison.isBusy = true;
    void this.#request(node).finally(() => {
      comparison.isBusy = false;
      comparison.differences = 0;
      comparison.nextMs = clock.monotonic() + pauseMs;
    });
  }

  /** Never rejects. */
  async #request(node: PeerNode): Promise<void> {
    const { bus, directory, counts, logger } = this.#options;
    counts.lists.add();
    try {
      const request = IngestRequest.encode({ sessions: { boot: node.boot } }).finish();
      const parts = await bus.request(nodeSubject(node.name), request, { deadlineMs: listMs });
      const listed = new Set<string>();
      let until = 0;
      for (const part of parts) {
        until = this.#take(node, part, listed);
        // So that the messages of devices do not wait for all of it.
        if (parts.length > 1) await new Promise(setImmediate);
      }
      directory.keepOnly(node, listed, until);
    } catch (error) {
      logger.debug({ node: node.name, error }, 'the sessions of another node could not be listed; retrying');
    }
  }

  /** Returns the number up to which the list is complete; 0 if this is not its last part. */
  #take(node: PeerNode, part: Uint8Array, listed: Set<string>): number {
    const { directory, registry, clock } = this.#options;
    const list = IngestReply.decode(part).sessions;
    for (const claim of list?.sessions ?? []) {
      const { device = '', number = 0, protocol = '', address = '' } = claim as tailrace.v1.SessionClaim;
      if (invalidPathReason(device) !== undefined) continue;
      listed.add(device);
      directory.opened(node, { device, number, protocol }, false, clock.monotonic());
      registry.openedElsewhere({ device, number, node: node.name, address, isFresh: false });
    }
    return list?.until ?? 0;
  }
}
