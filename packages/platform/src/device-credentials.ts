import { isDevicePath, tenantOf } from '@tailrace/protocol/path';
import { isPlainText } from '@tailrace/protocol/text';
import type { Clock } from './clock.ts';
import { ExpiryHeap } from './expiry-heap.ts';
import type { Metrics } from './metrics.ts';
import { expiryGraceMs, type RevocationEntry, type Revocations, revocationEndMs } from './revocation.ts';
import { type Claims, isClaimName } from './token-claims.ts';

/** A device token without its secret: plain data, as in the control topic. */
export interface DeviceCredential {
  /** 16 characters of base64url. Also the ID by which the token is revoked. */
  readonly id: string;
  /** A device path. */
  readonly device: string;
  /** Whether the token may publish the devices below its path, too. */
  readonly gateway: boolean;
  /** By `secretHashOf`. */
  readonly secretSha256: string;
  /** Epoch ms. */
  readonly issuedAt: number;
  /** Epoch ms. Undefined: never. */
  readonly expiresAt?: number;
  /** Subject of the operator's token. */
  readonly issuedBy: string;
  /** A note of the operator; empty for none. */
  readonly label: string;
}

/** UTF-16 code units of a label. */
export const labelCharactersMax = 200;

/** A credential in memory. */
export interface KnownCredential extends DeviceCredential {
  /** The same object at each call. */
  readonly claims: Claims;
}

/** Returns the subject of the claims of a credential: all tokens of the device can be revoked by it. */
export function subjectOf({ device }: Pick<DeviceCredential, 'device'>): string {
  return `device/${device}`;
}

/** Returns whether the revocation is of this credential. */
export function isRevokedBy(
  credential: Pick<DeviceCredential, 'id' | 'device' | 'issuedAt'>,
  entry: RevocationEntry,
): boolean {
  if ('tokenId' in entry) return entry.tokenId === credential.id;
  return entry.subject === subjectOf(credential) && credential.issuedAt < entry.issuedBefore;
}

export interface DeviceCredentialsOptions {
  readonly clock: Pick<Clock, 'now'>;
  /** Revoked credentials are not added. */
  readonly revocations: Pick<Revocations, 'revoked'>;
  /** 1 or more. Beyond it further credentials are ignored. */
  readonly entriesMax: number;
  /** Registers size, limit and ignored credentials under the name of the service. */
  readonly metrics?: Metrics;
}

/** A page of the list, see `DeviceCredentials.page`. */
export interface CredentialPage {
  readonly credentials: readonly KnownCredential[];
  /** Continues the list after this ID. Undefined: the list is complete. */
  readonly next?: string;
}

/** Credentials that one page checks: about two milliseconds. */
const scannedMax = 2_000;

/** In the order of code units, as IDs are sorted. */
const alphabet = '-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz';
const prefixes: readonly string[] = [...alphabet].flatMap((first) => [...alphabet].map((second) => first + second));

/**
 * The credentials of devices that are neither revoked nor expired, bounded, in memory. Has no timer: an expired one is
 * removed at the next change.
 *
 * IDs are random, so the first two characters divide them evenly: `page` sorts one of these 4,096 parts at a time, and
 * no request sorts all of them.
 */
export class DeviceCredentials {
  size = 0;
  /** Credentials that were not added because the limit was reached, so far. Their tokens are refused. */
  ignored = 0;
  /** Records that are no credentials, so far. */
  illFormed = 0;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #revocations: Pick<Revocations, 'revoked'>;
  readonly #entriesMax: number;
  /** By the first two characters of the ID, then by the ID. */
  readonly #byPrefix = new Map<string, Map<string, Entry>>();
  readonly #byDevice = new Map<string, Entry[]>();
  readonly #byExpiry = new ExpiryHeap<Entry>((entry) => this.#entry(entry.id) === entry);

  constructor({ clock, revocations, entriesMax, metrics }: DeviceCredentialsOptions) {
    this.#clock = clock;
    this.#revocations = revocations;
    this.#entriesMax = entriesMax;
    if (metrics !== undefined) this.#register(metrics);
  }

  get isFull(): boolean {
    this.#dropExpired();
    return this.size >= this.#entriesMax;
  }

  /** Returns the credential; it may have expired up to `expiryGraceMs` ago. */
  find(id: string): KnownCredential | undefined {
    return this.#entry(id);
  }

  /** Returns the number of credentials of a device that have not expired. */
  countOf(device: string): number {
    const now = this.#clock.now();
    const entries = this.#byDevice.get(device) ?? [];
    return entries.filter(({ expiresAt = Number.POSITIVE_INFINITY }) => expiresAt > now).length;
  }

  /** Returns the credentials of a device; they may have expired up to `expiryGraceMs` ago. */
  ofDevice(device: string): readonly KnownCredential[] {
    return this.#byDevice.get(device) ?? [];
  }

  /** Adds credentials. Known and revoked ones change nothing; invalid ones are skipped and counted. */
  merge(credentials: Iterable<DeviceCredential>): void {
    this.#dropExpired();
    for (const credential of credentials) {
      if (!isValid(credential)) this.illFormed++;
      else this.#add(credential);
    }
  }

  /** Removes the credentials that these revocations are of. Revocations that have expired change nothing. */
  revoke(entries: Iterable<RevocationEntry>): void {
    const now = this.#clock.now();
    for (const entry of entries) {
      if (revocationEndMs(entry) <= now) continue;
      const affected = 'tokenId' in entry ? [this.#entry(entry.tokenId)] : this.#ofSubject(entry.subject);
      for (const credential of affected) {
        if (credential !== undefined && isRevokedBy(credential, entry)) this.#remove(credential);
      }
    }
  }

  /**
   * Returns the next credentials by ID, after the ID `after`, that `isListed` accepts: at most `limit`. A page checks
   * at most 2,000 credentials, so that it may have fewer than `limit`, or none, and still a `next`.
   */
  page(after: string, limit: number, isListed: (credential: DeviceCredential) => boolean): CredentialPage {
    this.#dropExpired();
    const credentials: KnownCredential[] = [];
    let scanned = 0;
    const firstPrefix = after.slice(0, 2);
    for (const prefix of prefixes) {
      const part = prefix < firstPrefix ? undefined : this.#byPrefix.get(prefix);
      if (part === undefined) continue;
      const entries = [...part.values()].filter(({ id }) => id > after).sort((a, b) => (a.id < b.id ? -1 : 1));
      for (const [index, entry] of entries.entries()) {
        scanned++;
        if (isListed(entry)) credentials.push(entry);
        if (credentials.length < limit && scanned < scannedMax) continue;
        const isLast = index === entries.length - 1 && !this.#hasAfter(prefix);
        return isLast ? { credentials } : { credentials, next: entry.id };
      }
    }
    return { credentials };
  }

  #hasAfter(prefix: string): boolean {
    return prefixes.some((other) => other > prefix && this.#byPrefix.has(other));
  }

  #add(credential: DeviceCredential): void {
    const { id, device, issuedAt, expiresAt = Number.POSITIVE_INFINITY } = credential;
    if (this.#entry(id) !== undefined || expiresAt + expiryGraceMs <= this.#clock.now()) return;
    if (this.#revocations.revoked({ subject: subjectOf(credential), tokenId: id, issuedAt })) return;
    if (this.size >= this.#entriesMax) {
      this.ignored++;
      return;
    }
    const entry = new Entry(credential);
    const prefix = id.slice(0, 2);
    const part = this.#byPrefix.get(prefix) ?? new Map<string, Entry>();
    this.#byPrefix.set(prefix, part.set(id, entry));
    const ofDevice = this.#byDevice.get(device);
    if (ofDevice === undefined) this.#byDevice.set(device, [entry]);
    else ofDevice.push(entry);
    this.#byExpiry.add(expiresAt + expiryGraceMs, entry);
    this.size++;
  }

  #entry(id: string): Entry | undefined {
    return this.#byPrefix.get(id.slice(0, 2))?.get(id);
  }

  #ofSubject(subject: string): readonly Entry[] {
    return subject.startsWith('device/') ? [...(this.#byDevice.get(subject.slice('device/'.length)) ?? [])] : [];
  }

  #dropExpired(): void {
    const now = this.#clock.now();
    while (this.#byExpiry.first() <= now) this.#remove(this.#byExpiry.pop()!);
  }

  #remove(entry: Entry): void {
    const prefix = entry.id.slice(0, 2);
    const part = this.#byPrefix.get(prefix);
    if (part?.delete(entry.id) !== true) return;
    if (part.size === 0) this.#byPrefix.delete(prefix);
    const others = this.#byDevice.get(entry.device)!.filter((other) => other !== entry);
    if (others.length === 0) this.#byDevice.delete(entry.device);
    else this.#byDevice.set(entry.device, others);
    this.size--;
  }

  #register(metrics: Metrics): void {
    const name = (rest: string) => `tailrace_${metrics.service}_${rest}`;
    metrics.gauge(name('credentials'), 'Device tokens that are neither revoked nor expired.', () => this.size);
    metrics.gauge(
      name('limit_credentials'),
      'Device tokens at which further ones are ignored.',
      () => this.#entriesMax,
    );
    metrics.total(
      name('ignored_credentials_total'),
      'Device tokens ignored because the limit was reached; they are refused.',
      () => this.ignored,
    );
    metrics.total(
      name('invalid_credentials_total'),
      'Invalid device tokens of other processes, skipped.',
      () => this.illFormed,
    );
  }
}

/** A credential and its claims, which are created at its first use. */
class Entry implements KnownCredential {
  readonly id: string;
  readonly device: string;
  readonly gateway: boolean;
  readonly secretSha256: string;
  readonly issuedAt: number;
  readonly expiresAt?: number;
  readonly issuedBy: string;
  readonly label: string;
  #claims: Claims | undefined;

  constructor({ id, device, gateway, secretSha256, issuedAt, expiresAt, issuedBy, label }: DeviceCredential) {
    this.id = id;
    this.device = device;
    this.gateway = gateway;
    this.secretSha256 = secretSha256;
    this.issuedAt = issuedAt;
    if (expiresAt !== undefined) this.expiresAt = expiresAt;
    this.issuedBy = issuedBy;
    this.label = label;
  }

  get claims(): Claims {
    this.#claims ??= Object.freeze({
      subject: subjectOf(this),
      tokenId: this.id,
      tenant: tenantOf(this.device),
      publish: publishedBy(this),
      receiveCommands: publishedBy(this),
      subscribe: [],
      issuedAt: this.issuedAt,
      ...(this.expiresAt === undefined ? {} : { expiresAt: this.expiresAt }),
    });
    return this.#claims;
  }
}

/**
 * Returns the patterns that a device, or a gateway for the devices below its path, may publish, and whose commands it
 * may receive.
 */
export function publishedBy({ device, gateway }: Pick<DeviceCredential, 'device' | 'gateway'>): readonly string[] {
  return gateway ? [device, `${device}.>`] : [device];
}

/** Any process with write access to the topic may have written it. */
function isValid(credential: DeviceCredential): boolean {
  const { id, device, secretSha256, issuedAt, expiresAt, issuedBy, label } = credential;
  return (
    /^[\w-]{16}$/.test(id) &&
    isDevicePath(device) &&
    /^[\w-]{43}$/.test(secretSha256) &&
    Number.isFinite(issuedAt) &&
    (expiresAt === undefined || Number.isFinite(expiresAt)) &&
    isClaimName(issuedBy) &&
    label.length <= labelCharactersMax &&
    isPlainText(label)
  );
}
