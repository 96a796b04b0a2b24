import type { View } from './view.ts';

/** The views that one socket watches: it is on each one's topic once, however many of its subscriptions share it. */
export class JoinedViews {
  readonly #socket: { join(topic: string): void; leave(topic: string): void };
  readonly #sharers = new Map<View, number>();

  constructor(socket: { join(topic: string): void; leave(topic: string): void }) {
    this.#socket = socket;
  }

  join(view: View): void {
    const sharers = this.#sharers.get(view) ?? 0;
    this.#sharers.set(view, sharers + 1);
    if (sharers > 0) return;
    view.sockets++;
    this.#socket.join(view.topic);
  }

  leave(view: View): void {
    const sharers = this.#sharers.get(view) ?? 0;
    if (sharers > 1) {
      this.#sharers.set(view, sharers - 1);
    } else if (this.#sharers.delete(view)) {
      view.sockets--;
      this.#socket.leave(view.topic);
    }
  }

  /** The socket goes, and with it all its topics. */
  clear(): void {
    for (const view of this.#sharers.keys()) view.sockets--;
    this.#sharers.clear();
  }
}
