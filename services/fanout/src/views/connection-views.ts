import { TailraceError } from '@tailrace/protocol/error';
import type { View, ViewHolder } from './view.ts';

/** The views with options of all connections of one user. No method throws. */
export interface UserViews {
  /** Returns the error if the user may not have this view of a channel as well. `view`: undefined for a new one. */
  viewError(view: View | undefined, pattern: string): TailraceError | undefined;
  addView(view: View, pattern: string): void;
  removeView(view: View): void;
}

export interface ConnectionViewLimits {
  /** The maximum of views with options of one connection. */
  readonly viewsPerConnectionMax: number;
}

/** The copies of one group of equal views that the connection is on, beside the first: their numbers, from 2. */
interface Copies {
  last: number;
  readonly free: number[];
}

/**
 * The views that one connection is on. Each of its subscriptions has its own view, so that the backlog of one does not
 * mix with the frames of another. If a connection subscribes to the same twice, the second subscription is on a copy of
 * the view, which it shares with second subscriptions of other connections.
 */
export class ConnectionViews implements ViewHolder {
  /** The number of views with options. */
  shaped = 0;
  readonly #limits: ConnectionViewLimits;
  readonly #user: UserViews;
  /** Created on first use: most connections have few. */
  #on: Set<View> | undefined;
  #copies: Map<string, Copies> | undefined;

  constructor(limits: ConnectionViewLimits, user: UserViews) {
    this.#limits = limits;
    this.#user = user;
  }

  /**
   * Returns the number of the copy for one more subscription to a group of equal views; 1 is the first view, whether it
   * exists already or not. Takes constant time.
   */
  nextCopy(group: string, first: View | undefined): number {
    if (first === undefined || this.#on?.has(first) !== true) return 1;
    this.#copies ??= new Map();
    const copies = this.#copies.get(group);
    if (copies !== undefined) return copies.free.at(-1) ?? copies.last + 1;
    return 2;
  }

  /**
   * Throws `limit_reached` where the connection or its user has its maximum of views with options. `view`: undefined
   * for a new one.
   */
  assertCapacity(view: View | undefined, pattern: string): void {
    const { viewsPerConnectionMax } = this.#limits;
    if (this.shaped >= viewsPerConnectionMax) {
      throw new TailraceError(
        'limit_reached',
        `expected at most ${viewsPerConnectionMax} subscriptions with maxRate, deadband, tags, delta or align on a connection; unsubscribe one of them, or subscribe without`,
      );
    }
    const error = this.#user.viewError(view, pattern);
    if (error !== undefined) throw error;
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
