import { TailraceError } from '@tailrace/protocol/error';
import type { View, ViewHolder } from './view.ts';

/** The views with options of all connections of one user. Nothing of it throws. */
export interface UserViews {
  /** Why the user may not have this view of a channel, too; undefined for a view that is new. */
  faultOfView(view: View | undefined, pattern: string): TailraceError | undefined;
  addView(view: View, pattern: string): void;
  removeView(view: View): void;
}

export interface ConnectionViewLimits {
  /** Views with options of one connection. */
  readonly viewsPerConnectionMax: number;
}

/** Of one group of equal views, those that the connection is on beside the first: their numbers, from 2 on. */
interface Copies {
  last: number;
  readonly free: number[];
}

/**
 * The views that one connection is on. Each of its subscriptions has one of its own, so that what one of them is told
 * of the past does not come between what another is told: where it subscribes to the same twice, the second is on a
 * copy of the view, which it shares with the second of other connections.
 */
export class ConnectionViews implements ViewHolder {
  /** With options. */
  shaped = 0;
  readonly #limits: ConnectionViewLimits;
  readonly #user: UserViews;
  /** Made when they are needed first: most connections have few. */
  #on: Set<View> | undefined;
  #copies: Map<string, Copies> | undefined;

  constructor(limits: ConnectionViewLimits, user: UserViews) {
    this.#limits = limits;
    this.#user = user;
  }

  /**
   * The number of the copy for one more subscription to a group of equal views; 1: the first view, where there is one
   * yet. Costs the same however many there are.
   */
  nextCopy(group: string, first: View | undefined): number {
    if (first === undefined || this.#on?.has(first) !== true) return 1;
    this.#copies ??= new Map();
    const copies = this.#copies.get(group);
    if (copies !== undefined) return copies.free.at(-1) ?? copies.last + 1;
    return 2;
  }

  /**
   * Throws `limit_reached` where the connection, or its user, may have no view with options more. `view`: where it is
   * there already.
   */
  assertRoom(view: View | undefined, pattern: string): void {
    const { viewsPerConnectionMax } = this.#limits;
    if (this.shaped >= viewsPerConnectionMax) {
      throw new TailraceError(
        'limit_reached',
        `expected at most ${viewsPerConnectionMax} subscriptions with maxRate, deadband, tags, delta or align on a connection; unsubscribe one of them, or subscribe without`,
      );
    }
    const fault = this.#user.faultOfView(view, pattern);
    if (fault !== undefined) throw fault;
  }

  /** `group`: as in `nextCopy`. */
  add(view: View, group: string, pattern: string): void {
    this.#on ??= new Set();
    this.#on.add(view);
    if (view.shape !== undefined) {
      this.shaped++;
      this.#user.addView(view, pattern);
    }
    if (view.copy === 1) return;
    const copies = this.#copies?.get(group) ?? { last: 1, free: [] };
    this.#copies ??= new Map();
    this.#copies.set(group, copies);
    if (copies.free.at(-1) === view.copy) copies.free.pop();
    else copies.last = view.copy;
  }

  remove(view: View, group: string): void {
    if (this.#on?.delete(view) !== true) return;
    if (view.shape !== undefined) {
      this.shaped--;
      this.#user.removeView(view);
    }
    if (view.copy === 1) return;
    const copies = this.#copies?.get(group);
    if (copies === undefined) return;
    copies.free.push(view.copy);
    if (copies.free.length === copies.last - 1) this.#copies!.delete(group);
  }
}
