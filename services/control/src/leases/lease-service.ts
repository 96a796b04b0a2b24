import type { Timer } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';
import { controlItself, entryOf } from '../audit/audit-entry.ts';
import { act, type ControlContext, orRefused } from '../control-context.ts';
import type { Act } from '../journal.ts';
import { assertMayCommand, maySee, type Requester } from '../requester.ts';
import { assertScope, claimed, durationFrom, keyOfScope, type Lease, type LeaseAction, leaseLimits } from './lease.ts';
import { type LeaseTransition, leaseEvent } from './lease-message.ts';
import {
  countHeld,
  expiredLeases,
  listLeases,
  lockLeases,
  overlappingLeases,
  removeLeases,
  storeLease,
} from './lease-store.ts';

/** How often expired leases are removed, ms. An expired lease is of no effect at once; only its record is late. */
const sweepMs = 1_000;
const sweepRowsMax = 100;

export interface LeaseRequest {
  /** A device path, or a pattern. */
  readonly scope: string;
  readonly action: LeaseAction;
  /** 0: the default. */
  readonly forMs: number;
  /** Of the lease to renew or release. */
  readonly token: number;
}

/** Leases of devices and subtrees: requests of people, and their expiry. */
export class LeaseService {
  readonly #context: ControlContext;
  #timer: Timer | undefined;
  #isSweeping = false;

  constructor(context: ControlContext) {
    this.#context = context;
  }

  start(): void {
    this.#timer = this.#context.clock.every(sweepMs, () => void this.#sweep());
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /**
   * Acquires, renews, releases or takes over a lease. Resolves with its transition. Rejects with `forbidden` (no right
   * to command the scope, or to take over), `conflict` (another lease, or not the token of it), `limit_reached`.
   */
  async request(requester: Requester, request: LeaseRequest): Promise<LeaseTransition> {
    const { scope, action, token } = request;
    assertScope(scope);
    const forMs = durationFrom(request.forMs);
    const refused = { action: 'lease.refused', target: scope, details: { requested: action } };
    return await orRefused(this.#context, requester, refused, async () => {
      assertMayCommand(requester, scope);
      const claim = {
        ...{ scope, action, token, forMs, subject: requester.subject },
        maySupersede: requester.roles.includes('supervisor'),
      };
      return await act(this.#context, async (transaction) => {
        const nowMs = this.#context.clock.now();
        await lockLeases(transaction);
        const { lease, removed } = claimed(claim, await overlappingLeases(transaction, scope), nowMs);
        if (lease?.token === 0) await this.#assertHeld(transaction, requester.subject);
        if (removed.length > 0)
          await removeLeases(
            transaction,
            removed.map((each) => each.scope),
          );
        const stored = lease && (await storeLease(transaction, lease));
        const former = removed.find((each) => each.scope === scope);
        const result = transitionOf(stored ?? { ...former!, holder: '' }, action, former, nowMs);
        // Those of other scopes have lost their holders.
        const others = removed
          .filter((each) => each.scope !== scope)
          .map((each) => transitionOf({ ...each, holder: '' }, action, each, nowMs));
        return { result, acts: [...others, result].map((transition) => actOf(transition, requester)) };
      });
    });
  }

  /** Resolves with the valid leases that the requester may see. */
  async list(requester: Requester): Promise<readonly Lease[]> {
    const { database, clock } = this.#context;
    const leases = await listLeases(database, clock.now());
    return leases.filter(({ scope }) => maySee(requester, scope));
  }

  async #assertHeld(transaction: Parameters<typeof countHeld>[0], subject: string): Promise<void> {
    const { heldMax } = leaseLimits;
    if ((await countHeld(transaction, subject)) < heldMax) return;
    throw new TailraceError('limit_reached', `leases of one subject: expected at most ${heldMax}, got one more`);
  }

  /** Never rejects. */
  async #sweep(): Promise<void> {
    if (this.#isSweeping) return;
    this.#isSweeping = true;
    const { database, clock, logger } = this.#context;
    try {
      const nowMs = clock.now();
      if ((await expiredLeases(database, nowMs, 1)).length > 0) {
        await act(this.#context, async (transaction) => {
          await lockLeases(transaction);
          const expired = await expiredLeases(transaction, nowMs, sweepRowsMax);
          await removeLeases(
            transaction,
            expired.map(({ scope }) => scope),
          );
          const transitions = expired.map((lease) => transitionOf({ ...lease, holder: '' }, 'expire', lease, nowMs));
          return { result: undefined, acts: transitions.map((transition) => actOf(transition, controlItself)) };
        });
      }
    } catch (error) {
      logger.debug({ error }, 'expired leases cannot be removed, retrying');
    } finally {
      this.#isSweeping = false;
    }
  }
}

function transitionOf(
  { scope, token, holder, until }: Lease,
  action: LeaseTransition['action'],
  former: Lease | undefined,
  time: number,
): LeaseTransition {
  return { scope, token, holder, until, action, previous: former?.holder ?? '', time };
}

const verbs = {
  acquire: 'acquired',
  renew: 'renewed',
  release: 'released',
  take_over: 'taken_over',
  expire: 'expired',
};

function actOf(transition: LeaseTransition, by: Pick<Requester, 'subject' | 'tokenId' | 'address'>): Act {
  const { scope, action, time, token, holder, previous, until } = transition;
  const details = { token, holder, previous, until };
  return {
    key: keyOfScope(scope),
    entry: entryOf(by, { time, action: `lease.${verbs[action]}`, target: scope, details }),
    records: [{ topic: 'events', value: leaseEvent(transition) }],
  };
}
