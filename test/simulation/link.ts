import type { Timer } from '@tailrace/platform/clock';
import type { Chance } from './chance.ts';
import type { Scheduler } from './scheduler.ts';

/** What lies between one client and the servers. */
export class Link {
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  /** One way, ms. */
  delayMs: { readonly min: number; readonly max: number } = { min: 1, max: 10 };
  /** What the client reads; infinite for one that keeps up. */
  #bytesPerMs = Number.POSITIVE_INFINITY;
  #cut = false;
  readonly #pipes = new Set<Pipe>();

  constructor(scheduler: Scheduler, chance: Chance) {
    this.scheduler = scheduler;
    this.chance = chance;
  }

  get cut(): boolean {
    return this.#cut;
  }

  /** While it is cut nothing arrives, and nobody is told: what was sent waits, as TCP would send it again. */
  set cut(cut: boolean) {
    this.#cut = cut;
    if (!cut) for (const pipe of this.#pipes) pipe.pump();
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

/** One direction of a connection: what goes in comes out later, in order. */
export class Pipe {
  /** Of what has not left the sender's machine. */
  bytes = 0;
  readonly #link: Link;
  readonly #isPaced: boolean;
  readonly #onMoved: (bytes: number) => void;
  #queue: { readonly bytes: number; readonly arrive: () => void }[] = [];
  #lastDueMs = 0;
  #moving: Timer | undefined;
  #closed = false;

  /** `isPaced`: leaves only as fast as the client reads. */
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

  /** Sends what can be sent. */
  pump(): void {
    while (this.#queue.length > 0 && this.#moving === undefined && !this.#link.cut) {
      const { bytesPerMs } = this.#link;
      if (this.#isPaced && bytesPerMs <= 0) return;
      if (!this.#isPaced || bytesPerMs === Number.POSITIVE_INFINITY) {
        this.#move();
        continue;
      }
      this.#moving = this.#link.scheduler.at(this.#queue[0]!.bytes / bytesPerMs, () => {
        this.#moving = undefined;
        if (!this.#link.cut) this.#move();
        this.pump();
      });
    }
  }

  /** The pace has changed. */
  restart(): void {
    this.#moving?.cancel();
    this.#moving = undefined;
    this.pump();
  }

  /** What is in it and what would come is lost. What has left arrives. */
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
