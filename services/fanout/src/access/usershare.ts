import { identityOf } from '@tailrace/platform/token-identity';
import { isTailraceError, type TailraceError } from '@tailrace/protocol/error';
import type { UserViews } from '../views/connection-views.ts';
import type { User, UserClaims, Users } from './users.ts';

/** What one connection has of its user's: a place among his connections, and its subscriptions among his. */
export class UserShare implements UserViews {
  readonly #users: Users;
  #user: User | undefined;
  /** Its subscriptions as the user has them counted. */
  #counted = 0;
  /** Its views with options. */
  #views: Set<object> | undefined;

  constructor(users: Users) {
    this.#users = users;
  }

  /** The connection is this user's now; a fresh token may be somebody else's. `limit_reached` where he has as many as he may: then it is whose it was. */
  join(claims: UserClaims): TailraceError | undefined {
    if (this.#user?.identity === identityOf(claims)) return undefined;
    const user = this.#users.join(claims);
    if (isTailraceError(user)) return user;
    const views = [...(this.#views ?? [])];
    this.leave();
    this.#user = user;
    for (const view of views) this.addView(view);
    return undefined;
  }

  /** It has so many subscriptions now. */
  count(subscriptions: number): void {
    if (this.#user === undefined) return;
    this.#user.subscriptions += subscriptions - this.#counted;
    this.#counted = subscriptions;
  }

  /** Why it may have no subscription more. */
  faultOfSubscribing(): TailraceError | undefined {
    return this.#user && this.#users.faultOfSubscribing(this.#user);
  }

  faultOfView(view: object | undefined): TailraceError | undefined {
    return this.#user && this.#users.faultOfView(this.#user, view);
  }

  addView(view: object): void {
    this.#views ??= new Set();
    this.#views.add(view);
    this.#user?.views.set(view, (this.#user.views.get(view) ?? 0) + 1);
  }

  removeView(view: object): void {
    if (this.#views?.delete(view) !== true || this.#user === undefined) return;
    const { views } = this.#user;
    const left = (views.get(view) ?? 0) - 1;
    if (left > 0) views.set(view, left);
    else views.delete(view);
  }

  /** Idempotent. */
  leave(): void {
    this.count(0);
    for (const view of this.#views ?? []) this.removeView(view);
    if (this.#user !== undefined) this.#users.leave(this.#user);
    this.#user = undefined;
  }
}
