import type { Claims } from '@tailrace/platform/token';
import { identityOf } from '@tailrace/platform/token-identity';
import { shown, TailraceError } from '@tailrace/protocol/error';

/** What the connections of one user use on this node. */
export interface User {
  /** By `identityOf`: issuer, tenant and subject of the tokens, however many there are. */
  readonly identity: string;
  /** For messages. */
  readonly subject: string;
  connections: number;
  subscriptions: number;
  /** Views with options. */
  readonly views: UserViewCounts;
}

/** Counts the different views with options of one user. */
class UserViewCounts {
  /** Views of subtrees. */
  subtrees = 0;
  readonly #views = new Map<object, { readonly pattern: string; connections: number }>();
  readonly #byPattern = new Map<string, number>();

  has(view: object): boolean {
    return this.#views.has(view);
  }

  /** Returns the number of views of one channel. */
  of(pattern: string): number {
    return this.#byPattern.get(pattern) ?? 0;
  }

  /** Counts one more connection on the view. */
  add(view: object, pattern: string): void {
    const known = this.#views.get(view);
    if (known !== undefined) {
      known.connections++;
      return;
    }
    this.#views.set(view, { pattern, connections: 1 });
    this.#count(pattern, 1);
  }

  remove(view: object): void {
    const known = this.#views.get(view);
    if (known === undefined || --known.connections > 0) return;
    this.#views.delete(view);
    this.#count(known.pattern, -1);
  }

  #count(pattern: string, change: 1 | -1): void {
    if (pattern.endsWith('>')) this.subtrees += change;
    const count = this.of(pattern) + change;
    if (count > 0) this.#byPattern.set(pattern, count);
    else this.#byPattern.delete(pattern);
  }
}

/** The claims that identify a user. */
export type UserClaims = Pick<Claims, 'issuer' | 'tenant' | 'subject'>;

export interface UserLimits {
  readonly userConnectionsMax: number;
  readonly userSubscriptionsMax: number;
  /** Views of subtrees with options. */
  readonly userViewsMax: number;
  /** Views of one channel with options. */
  readonly viewsPerConnectionMax: number;
}

/** The connected users, by the identity of their tokens. A user is known while one of their connections is open. */
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

  /** Counts one more connection. Returns `limit_reached`, and counts that, if the user has the maximum number. */
  join(claims: UserClaims): User | TailraceError {
    const identity = identityOf(claims);
    const { subject } = claims;
    let user = this.#byIdentity.get(identity);
    if (user === undefined) {
      user = { identity, subject, connections: 0, subscriptions: 0, views: new UserViewCounts() };
      this.#byIdentity.set(identity, user);
    }
    if (user.connections >= this.limits.userConnectionsMax) {
      this.counts.refusedConnections++;
      return new TailraceError(
        'limit_reached',
        `expected at most ${user.connections} connections of ${shown(subject)}, got one more: close one first`,
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

  /** Returns why the user may have no further subscription, and counts that; undefined: they may. */
  subscribeError(user: User): TailraceError | undefined {
    if (user.subscriptions < this.limits.userSubscriptionsMax) return undefined;
    this.counts.refusedSubscriptions++;
    return new TailraceError(
      'limit_reached',
      `expected at most ${user.subscriptions} subscriptions of ${shown(user.subject)}, got one more: unsubscribe one first`,
    );
  }

  /**
   * Returns why the user may not have this view of a channel with options, or a new one, and counts that; undefined:
   * they may, or have it already. A view of a subtree processes the reports of all its devices, so a user may have
   * few. A view of a device costs little, so only the views of one channel are limited.
   */
  viewError({ views, subject }: User, view: object | undefined, pattern: string): TailraceError | undefined {
    if (view !== undefined && views.has(view)) return undefined;
    const { userViewsMax, viewsPerConnectionMax } = this.limits;
    const isSubtree = pattern.endsWith('>');
    if (isSubtree && views.subtrees >= userViewsMax) return this.#tooManyViews(userViewsMax, 'subtrees', subject);
    if (views.of(pattern) < viewsPerConnectionMax) return undefined;
    return this.#tooManyViews(viewsPerConnectionMax, shown(pattern), subject);
  }

  #tooManyViews(max: number, what: string, subject: string): TailraceError {
    this.counts.refusedViews++;
    return new TailraceError(
      'limit_reached',
      `expected at most ${max} different views of ${what} with maxRate, deadband, tags, delta or align for ${shown(subject)} on this node; take options that another of its connections has, or none`,
    );
  }

  /** Returns the largest number of each that one user has. */
  most(): { readonly connections: number; readonly subscriptions: number; readonly views: number } {
    let connections = 0;
    let subscriptions = 0;
    let views = 0;
    for (const user of this.#byIdentity.values()) {
      connections = Math.max(connections, user.connections);
      subscriptions = Math.max(subscriptions, user.subscriptions);
      views = Math.max(views, user.views.subtrees);
    }
    return { connections, subscriptions, views };
  }
}
