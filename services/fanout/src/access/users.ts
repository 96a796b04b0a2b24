import type { Claims } from '@tailrace/platform/token';
import { identityOf } from '@tailrace/platform/token-identity';
import { shown, TailraceError } from '@tailrace/protocol/error';

/** What the connections of one user have in common on this node. */
export interface User {
  /** By `identityOf`: issuer, tenant and subject of the tokens, however many there are. */
  readonly identity: string;
  /** For messages. */
  readonly subject: string;
  connections: number;
  subscriptions: number;
  /** Those with options, and how many of its connections are on each. */
  readonly views: Map<object, number>;
}

/** What of a token's claims says which user it is. */
export type UserClaims = Pick<Claims, 'issuer' | 'tenant' | 'subject'>;

export interface UserLimits {
  readonly userConnectionsMax: number;
  readonly userSubscriptionsMax: number;
  readonly userViewsMax: number;
}

/** The connected users, by the identity of their tokens. A user is known as long as a connection of his is open. */
export class Users {
  readonly counts = { refusedConnections: 0, refusedSubscriptions: 0, refusedViews: 0 };
  readonly limits: UserLimits;
  readonly #byIdentity = new Map<string, User>();

  constructor(limits: UserLimits) {
    this.limits = limits;
  }

  get size(): number {
    return this.#byIdentity.size;
  }

  /** One connection more; `limit_reached`, counted, where the user has as many as he may. */
  join(claims: UserClaims): User | TailraceError {
    const identity = identityOf(claims);
    const { subject } = claims;
    let user = this.#byIdentity.get(identity);
    if (user === undefined) {
      user = { identity, subject, connections: 0, subscriptions: 0, views: new Map() };
      this.#byIdentity.set(identity, user);
    }
    if (user.connections >= this.limits.userConnectionsMax) {
      this.counts.refusedConnections++;
      return new TailraceError(
        'limit_reached',
        `${shown(subject)} has ${user.connections} connections, as many as a user may; close one first`,
        { retryable: true },
      );
    }
    user.connections++;
    return user;
  }

  leave(user: User): void {
    user.connections--;
    if (user.connections === 0) this.#byIdentity.delete(user.identity);
  }

  /** Why the user may have no subscription more; counted. Undefined: he may. */
  faultOfSubscribing(user: User): TailraceError | undefined {
    if (user.subscriptions < this.limits.userSubscriptionsMax) return undefined;
    this.counts.refusedSubscriptions++;
    return new TailraceError(
      'limit_reached',
      `${shown(user.subject)} has ${user.subscriptions} subscriptions, as many as a user may; unsubscribe some first`,
    );
  }

  /**
   * Why the user may not have this view with options, too, or one that is new; counted. Undefined: it may, or has it
   * already.
   */
  faultOfView(user: User, view: object | undefined): TailraceError | undefined {
    const { userViewsMax } = this.limits;
    if (user.views.size < userViewsMax || (view !== undefined && user.views.has(view))) return undefined;
    this.counts.refusedViews++;
    return new TailraceError(
      'limit_reached',
      `expected at most ${userViewsMax} different views with maxRate, deadband, tags, delta or align for ${shown(user.subject)} on this node; take options that another of its connections has, or none`,
    );
  }

  /** Of the user that has most of each: how near the limits are. */
  most(): { readonly connections: number; readonly subscriptions: number; readonly views: number } {
    let connections = 0;
    let subscriptions = 0;
    let views = 0;
    for (const user of this.#byIdentity.values()) {
      connections = Math.max(connections, user.connections);
      subscriptions = Math.max(subscriptions, user.subscriptions);
      views = Math.max(views, user.views.size);
    }
    return { connections, subscriptions, views };
  }
}
