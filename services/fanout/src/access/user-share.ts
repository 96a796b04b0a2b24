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
  /** Its views with options, and of which channels they are. */
  #views: Map<object, string> | undefined;

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
    for (const [view, pattern] of views) this.addView(view, pattern);
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

  faultOfView(view: object | undefined, pattern: string): TailraceError | undefined {
    return this.#user && this.#users.faultOfView(this.#user, view, pattern);
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
