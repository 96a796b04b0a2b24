/** What one client holds in a `FairBuffer`. */
export interface BufferUse {
  bytes: number;
  isPaused: boolean;
}

export interface FairBufferOptions<Client extends BufferUse> {
  readonly bytesMax: number;
  readonly onPause: (client: Client) => void;
  readonly onResume: (client: Client) => void;
}

/**
 * A bound of bytes that several clients share. A client that holds more than what is free is paused, until it holds
 * half of what is free at most: one client alone gets half of the bound, n clients get one part in n + 1 each, and
 * another part stays free for those that send little.
 *
 * The rule is the dynamic threshold of A. K. Choudhury and E. L. Hahne, "Dynamic Queue Length Thresholds for
 * Shared-Memory Packet Switches", IEEE/ACM Transactions on Networking 6(2), 1998, with α = 1.
 */
export class FairBuffer<Client extends BufferUse> {
  readonly #options: FairBufferOptions<Client>;
  readonly #paused = new Set<Client>();
  #used = 0;

  constructor(options: FairBufferOptions<Client>) {
    this.#options = options;
  }

  get used(): number {
    return this.#used;
  }

  /** Clients that are paused. */
  get paused(): number {
    return this.#paused.size;
  }

  /** Counts bytes of a client. Hot. */
  hold(client: Client, bytes: number): void {
    client.bytes += bytes;
    this.#used += bytes;
    if (client.isPaused || client.bytes <= this.#free) return;
    client.isPaused = true;
    this.#paused.add(client);
    this.#options.onPause(client);
  }

  /** Counts bytes that a client no longer holds. Call `resumeDue` after the last one of a batch. Hot. */
  release(client: Client, bytes: number): void {
    client.bytes -= bytes;
    this.#used -= bytes;
  }

  /** Resumes the clients that hold little again. */
  resumeDue(): void {
    for (const client of this.#paused) {
      if (2 * client.bytes > this.#free) continue;
      this.#resume(client);
      this.#options.onResume(client);
    }
  }

  /** The client is gone. What it holds is released by `release` as before. */
  remove(client: Client): void {
    this.#resume(client);
  }

  get #free(): number {
    return Math.max(0, this.#options.bytesMax - this.#used);
  }

  #resume(client: Client): void {
    this.#paused.delete(client);
    client.isPaused = false;
  }
}
