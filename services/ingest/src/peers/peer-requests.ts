import type { Clock } from '@tailrace/platform/clock';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { assertDevicePath } from '@tailrace/protocol/path';
import type { DeviceRecord, DeviceRecords } from '../devices/device-record.ts';
import type { ClaimingSession, SessionClient, SessionRegistry } from '../devices/session-registry.ts';
import { bytesFromHashes } from './hash-bytes.ts';

const { IngestReply, IngestRequest, SessionState } = tailrace.v1;
type IngestRequest = tailrace.v1.IngestRequest;
type ReplyProperties = tailrace.v1.IngestReply.$Properties;

/** Sessions in one part of a list; encoding them takes about a millisecond. */
const partMax = 1_000;
/** How long a hand-over waits for the log; the requesting node waits a second for all of it. */
const settleMs = 700;
const settleCheckMs = 10;

/** Where the session of a device is. */
export interface SessionPlace {
  readonly node: string;
  readonly number: number;
  /** False: it has closed within the last hour. */
  readonly isOpen: boolean;
  readonly protocol: string;
}

/** What a protocol keeps of its clients beyond a connection. */
export interface ClientStates {
  /**
   * Removes what is kept of a client whose device has moved to another node, and returns it; undefined for nothing, and
   * if it is to be discarded. A client that is connected again keeps it.
   */
  take(client: SessionClient, device: string): Uint8Array | undefined;
}

export interface PeerRequestsOptions {
  readonly node: string;
  readonly boot: string;
  readonly registry: Pick<SessionRegistry<ClaimingSession>, 'handOver' | 'forEach' | 'numberOf' | 'lastNumber'>;
  readonly records: Pick<DeviceRecords, 'peek'>;
  readonly clients: ClientStates;
  readonly find: (device: string) => SessionPlace | undefined;
  readonly clock: Clock;
}

/** Replies to the requests of other nodes. */
export class PeerRequests {
  readonly #options: PeerRequestsOptions;

  constructor(options: PeerRequestsOptions) {
    this.#options = options;
  }

  /** Rejects with `invalid_message` for a request that cannot be read, and `conflict` if it is for an earlier start. */
  async reply(payload: Uint8Array): Promise<readonly Uint8Array[]> {
    const request = requestFrom(payload);
    if (request.takeOver) return [partOf({ takeOver: await this.#takeOver(request.takeOver) })];
    if (request.unsettled) return [partOf({ takeOver: await this.#rest(request.unsettled) })];
    if (request.sessions) return this.#list(request.sessions.boot ?? '');
    if (!request.find) throw new TailraceError('invalid_message', 'request: expected one that is known, got another');
    const found = this.#options.find(request.find.device ?? '');
    if (found === undefined) return [partOf({ find: {} })];
    const { node, number, isOpen: open, protocol } = found;
    return [partOf({ find: { node, number, open, protocol } })];
  }

  async #takeOver(request: tailrace.v1.TakeOverRequest.$Properties): Promise<tailrace.v1.TakeOverReply.$Properties> {
    const { registry, records, clients } = this.#options;
    this.#assertBoot(request.boot ?? '');
    const { device, node, address, instance, hasWaited } = request;
    assertDevicePath(device);
    // Before the session is replaced, which forgets its number.
    const number = registry.numberOf(device);
    const { waitMs, takeovers } = registry.handOver(device, {
      node: node ?? '',
      address: address ?? '',
      instance: instance ?? '',
      hasWaited: hasWaited ?? false,
    });
    if (waitMs > 0) return { waitMs };
    const record = records.peek(device);
    if (record !== undefined) record.isCurrent = false;
    const logged = record === undefined ? { settled: true } : await this.#loggedOf(record);
    const { client: key, clean: isClean } = request;
    // Now: the log has settled what it can, which is part of it.
    const clientState = key ? clients.take({ key, isClean: isClean ?? false }, device) : undefined;
    return { number, takeovers, ...logged, ...(clientState && { clientState }) };
  }

  /** Returns what a take-over returns, of a device that another node has taken over. */
  async #rest(request: tailrace.v1.UnsettledRequest.$Properties): Promise<tailrace.v1.TakeOverReply.$Properties> {
    this.#assertBoot(request.boot ?? '');
    const record = this.#options.records.peek(request.device ?? '');
    return record === undefined ? { settled: true } : await this.#loggedOf(record);
  }

  async #loggedOf(record: DeviceRecord): Promise<tailrace.v1.TakeOverReply.$Properties> {
    const settled = await this.#settled(record);
    const recentIds = record.recent === undefined ? new Uint8Array() : bytesFromHashes(record.recent.hashes());
    const lastSeq = record.lastSeq >= 0 ? { lastSeq: record.lastSeq } : {};
    return { settled, recentIds, ...lastSeq };
  }

  /** Waits until the log has settled the messages of the device. Resolves with false if it has not in time. */
  async #settled(record: DeviceRecord): Promise<boolean> {
    const isUnsettled = () => record.unsettled > 0 || record.arriving !== undefined;
    for (let waitedMs = 0; isUnsettled(); waitedMs += settleCheckMs) {
      if (waitedMs >= settleMs) return false;
      await this.#options.clock.sleep(settleCheckMs);
    }
    return true;
  }

  async #list(requested: string): Promise<readonly Uint8Array[]> {
    const { registry, boot } = this.#options;
    this.#assertBoot(requested);
    const until = registry.lastNumber;
    const all: tailrace.v1.SessionClaim.$Properties[] = [];
    registry.forEach((session, number) => void all.push(claimOf(session, number)));
    const parts: Uint8Array[] = [];
    for (let from = 0; from === 0 || from < all.length; from += partMax) {
      const isLast = from + partMax >= all.length;
      const sessions = all.slice(from, from + partMax);
      parts.push(partOf({ sessions: { boot, sessions, ...(isLast && { until }) } }));
      // So that the messages of devices do not wait for all of it.
      if (!isLast) await new Promise(setImmediate);
    }
    return parts;
  }

  #assertBoot(boot: string): void {
    if (boot === this.#options.boot) return;
    throw new TailraceError('conflict', `expected the present start of ${this.#options.node}, got ${shown(boot)}`);
  }
}

/** Returns the claim of an open session, without its node. */
export function claimOf(session: ClaimingSession, number: number): tailrace.v1.SessionClaim.$Properties {
  const { device, openedMs, protocol, address } = session;
  return { device, number, openedMs, protocol, address, state: SessionState.SESSION_STATE_OPEN };
}

function requestFrom(payload: Uint8Array): IngestRequest {
  try {
    return IngestRequest.decode(payload);
  } catch (cause) {
    throw new TailraceError('invalid_message', 'request: expected an IngestRequest', { cause });
  }
}

function partOf(reply: ReplyProperties): Uint8Array {
  return IngestReply.encode(reply).finish();
}
