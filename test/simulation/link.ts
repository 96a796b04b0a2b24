import type { Timer } from '@tailrace/platform/clock';
import type { Chance } from './chance.ts';
import type { Scheduler } from './scheduler.ts';

/** The network between one client and the servers. */
export class Link {
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  /** Latency in one direction, ms. */
  delayMs: { readonly min: number; readonly max: number } = { min: 1, max: 10 };
  /** How fast the client reads; infinite: as fast as bytes arrive. */
  #bytesPerMs = Number.POSITIVE_INFINITY;
  #isDown = false;
  readonly #pipes = new Set<Pipe>();

  constructor(scheduler: Scheduler, chance: Chance) {
    this.scheduler = scheduler;
    this.chance = chance;
  }

  get isDown(): boolean {
    return this.#isDown;
  }

  /** While it is down nothing arrives, and neither side is notified: data waits, as TCP retransmits it. */
  set isDown(isDown: boolean) {
    this.#isDown = isDown;
    if (!isDown) for (const pipe of this.#pipes) pipe.pump();
  }

  get bytesPerMs(): number {
    return this.#bytesPerMs;
  }

  set bytesPerMs(bytesPerMs: number) {
    this.#bytesPerMs = bytesPerMs;
    for (const pipe of this.#pipes) pipe.restart();
  }

  add(pipe: Pipe): void {
    this.#pipes.add(pipe);
  }

  remove(pipe: Pipe): void {
    this.#pipes.delete(pipe);
  }
}

/** One direction of a connection: data arrives later, in order. */
export class Pipe {
  /** Bytes that have not left the sender's machine. */
  bytes = 0;
  readonly #link: Link;
  readonly #isPaced: boolean;
  readonly #onMoved: (bytes: number) => void;
  #queue: { readonly bytes: number; readonly arrive: () => void }[] = [];
  #lastDueMs = 0;
  #moving: Timer | undefined;
  #closed = false;

  /** `isPaced`: whether data leaves only as fast as the client reads. */
  constructor(link: Link, isPaced: boolean, onMoved: (bytes: number) => void) {
    this.#link = link;
    this.#isPaced = isPaced;
    this.#onMoved = onMoved;
    link.add(this);
  }

  push(bytes: number, arrive: () => void): void {
    if (this.#closed) return;
    this.#queue.push({ bytes, arrive });
    this.bytes += bytes;
    this.pump();
  }

  /** Sends all that may leave now. */
  pump(): void {
    while (this.#queue.length > 0 && this.#moving === undefined && !this.#link.isDown) {
      const { bytesPerMs } = this.#link;
      if (this.#isPaced && bytesPerMs <= 0) return;
      if (!this.#isPaced || bytesPerMs === Number.POSITIVE_INFINITY) {
        this.#move();
        continue;
      }
      this.#moving = this.#link.scheduler.at(this.#queue[0]!.bytes / bytesPerMs, () => {
        this.#moving = undefined;
        if (!this.#link.isDown) this.#move();
        this.pump();
      });
    }
  }

  /** Applies a changed rate. */
  restart(): void {
    this.#moving?.cancel();
    this.#moving = undefined;
    this.pump();
  }

  /** Drops the queue and all later data. What has left arrives. */
  close(): void {
    this.#closed = true;
    this.#queue = [];
    this.bytes = 0;
    this.#moving?.cancel();
    this.#link.remove(this);
  }

  #move(): void {
    const { bytes, arrive } = this.#queue.shift()!;
    const { scheduler, chance, delayMs } = this.#link;
    this.bytes -= bytes;
    this.#lastDueMs = Math.max(this.#lastDueMs, scheduler.nowMs + chance.between(delayMs.min, delayMs.max));
    scheduler.at(this.#lastDueMs - scheduler.nowMs, arrive);
    this.#onMoved(bytes);
  }
}
