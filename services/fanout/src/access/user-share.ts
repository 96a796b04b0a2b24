import { identityOf } from '@tailrace/platform/token-identity';
import { isTailraceError, type TailraceError } from '@tailrace/protocol/error';
import type { UserViews } from '../views/connection-views.ts';
import type { User, UserClaims, Users } from './users.ts';

/** The share of one connection in the quotas of its user: the connection, its subscriptions, and its views. */
export class UserShare implements UserViews {
  readonly #users: Users;
  #user: User | undefined;
  /** Its subscriptions that are counted at the user. */
  #counted = 0;
  /** Its views with options, and their channels. */
  #views: Map<object, string> | undefined;

  constructor(users: Users) {
    this.#users = users;
  }

  /**
   * Counts the connection at the user of these claims; a new token may name another user. Returns `limit_reached` if
   * that user has the maximum number of connections: then nothing changes.
   */
  join(claims: UserClaims): TailraceError | undefined {
    if (this.#user?.identity === identityOf(claims)) return undefined;
    const user = this.#users.join(claims);
    if (isTailraceError(user)) return user;
    const views = [...(this.#views ?? [])];
    this.leave();
    this.#user = user;
    for (const [view, pattern] of views) this.addView(view, pattern);
    return undefined;
  }

  /** Sets the number of subscriptions of the connection. */
  count(subscriptions: number): void {
    if (this.#user === undefined) return;
    this.#user.subscriptions += subscriptions - this.#counted;
    this.#counted = subscriptions;
  }

  /** Returns why the user may have no further subscription; undefined: they may. */
  subscribeError(): TailraceError | undefined {
    return this.#user && this.#users.subscribeError(this.#user);
  }

  viewError(view: object | undefined, pattern: string): TailraceError | undefined {
    return this.#user && this.#users.viewError(this.#user, view, pattern);
  }

  addView(view: object, pattern: string): void {
    this.#views ??= new Map();
    this.#views.set(view, pattern);
    this.#user?.views.add(view, pattern);
  }

  removeView(view: object): void {
    if (this.#views?.delete(view) === true) this.#user?.views.remove(view);
  }

  /** Idempotent. */
  leave(): void {
    this.count(0);
    for (const view of this.#views?.keys() ?? []) this.removeView(view);
    if (this.#user !== undefined) this.#users.leave(this.#user);
    this.#user = undefined;
  }
}
