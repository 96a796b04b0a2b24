import { TextHash } from '@tailrace/platform/text-hash';

const hash = new TextHash();

/**
 * The open sessions of one node, as a number and 64 bits: equal on two nodes that know the same sessions. Exclusive or,
 * so that a session is added and removed in constant time.
 */
export class SessionDigest {
  high = 0;
  low = 0;
  sessions = 0;

  add(device: string, number: number): void {
    this.#combine(device, number);
    this.sessions++;
  }

  remove(device: string, number: number): void {
    this.#combine(device, number);
    this.sessions--;
  }

  equals({ high, low, sessions }: Pick<SessionDigest, 'high' | 'low' | 'sessions'>): boolean {
    return this.high === high && this.low === low && this.sessions === sessions;
  }

  #combine(device: string, number: number): void {
    // No secret key: every node has to find the same.
    hash.take(`${device} ${number}`, 0, 0);
    this.high = (this.high ^ hash.high) >>> 0;
    this.low = (this.low ^ hash.low) >>> 0;
  }
}
