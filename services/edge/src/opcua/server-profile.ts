/** What a kind of server can bear. The limits that a server reports of itself lower these, and never raise them. */
export interface ServerProfile {
  /** Items of one CreateMonitoredItems, and nodes of one Read. */
  readonly chunk: number;
  readonly itemsPerSubscription: number;
  readonly subscriptions: number;
  /** The shortest sampling interval, ms. Shorter ones are raised to it. */
  readonly sampleMsMin: number;
}

export const profileNames = ['default', 'small', 's7-1500', 'kepware', 'fast'] as const;
export type ProfileName = (typeof profileNames)[number];

/**
 * `small`: S7-1200, WAGO and meters. `s7-1500`: counts the items of all requests that are not answered. `fast`: servers
 * on a PC.
 */
export const serverProfiles: Readonly<Record<ProfileName, ServerProfile>> = {
  default: { chunk: 500, itemsPerSubscription: 5_000, subscriptions: 10, sampleMsMin: 100 },
  small: { chunk: 50, itemsPerSubscription: 250, subscriptions: 2, sampleMsMin: 500 },
  's7-1500': { chunk: 100, itemsPerSubscription: 1_000, subscriptions: 5, sampleMsMin: 100 },
  kepware: { chunk: 500, itemsPerSubscription: 5_000, subscriptions: 10, sampleMsMin: 100 },
  fast: { chunk: 2_000, itemsPerSubscription: 20_000, subscriptions: 10, sampleMsMin: 10 },
};

/** Limits of a server, of Server.ServerCapabilities.OperationLimits. 0 or undefined: it reports none. */
export interface ReportedLimits {
  readonly nodesPerRead?: number | undefined;
  readonly itemsPerCall?: number | undefined;
}

/** Sizes of requests that the server accepts. They shrink when it refuses one as too large. */
export class RequestSizes {
  #read: number;
  #items: number;
  #values = 5_000;

  constructor(profile: ServerProfile) {
    this.#read = profile.chunk;
    this.#items = profile.chunk;
  }

  /** Nodes of a Read. */
  get read(): number {
    return this.#read;
  }

  /** Items of a CreateMonitoredItems. */
  get items(): number {
    return this.#items;
  }

  /** Values of one message of a subscription. */
  get values(): number {
    return this.#values;
  }

  /** Messages were too large. It takes a new session each time, so that few steps lead to 1. */
  shrinkMessages(): void {
    this.#values = Math.max(1, this.#values >> 3);
  }

  lower({ nodesPerRead, itemsPerCall }: ReportedLimits): void {
    if (nodesPerRead) this.#read = Math.min(this.#read, nodesPerRead);
    if (itemsPerCall) this.#items = Math.min(this.#items, itemsPerCall);
  }

  /** Halves a size after a refusal. Returns whether it became smaller. */
  halve(what: 'read' | 'items'): boolean {
    const before = what === 'read' ? this.#read : this.#items;
    if (before <= 1) return false;
    const half = Math.max(1, before >> 1);
    if (what === 'read') this.#read = half;
    else this.#items = half;
    return true;
  }
}

const tooLarge: ReadonlySet<string> = new Set([
  'BadTooManyOperations',
  'BadTooManyMonitoredItems',
  'BadRequestTooLarge',
  'BadResponseTooLarge',
  'BadEncodingLimitsExceeded',
  'BadTcpMessageTooLarge',
]);

/** Returns whether a smaller request may succeed. */
export function isTooLarge(status: string): boolean {
  return tooLarge.has(status);
}
