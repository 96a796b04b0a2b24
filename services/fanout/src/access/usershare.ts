import { identityOf } from '@tailrace/platform/token-identity';
import { isTailraceError, type TailraceError } from '@tailrace/protocol/error';
import type { User, UserClaims, Users } from './users.ts';

/** What one connection has of its user's: a place among his connections, and its subscriptions among his. */
export class UserShare {
  readonly #users: Users;
  #user: User | undefined;
  /** Its subscriptions as the user has them counted. */
  #counted = 0;

  constructor(users: Users) {
    this.#users = users;
  }

  /** The connection is this user's now; a fresh token may be somebody else's. `limit_reached` where he has as many as he may: then it is whose it was. */
  join(claims: UserClaims): TailraceError | undefined {
    if (this.#user?.identity === identityOf(claims)) return undefined;
    const user = this.#users.join(claims);
    if (isTailraceError(user)) return user;
    this.leave();
    this.#user = user;
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

  /** Idempotent. */
  leave(): void {
    this.count(0);
    if (this.#user !== undefined) this.#users.leave(this.#user);
    this.#user = undefined;
  }
}
