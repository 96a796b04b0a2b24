import type { Bus } from '@tailrace/bus/bus';
import { TailraceError } from '@tailrace/protocol/error';

/** A bus from which its node can be cut: nothing comes in or goes out, as where packets are lost and no connection breaks. */
export interface GatedBus {
  readonly bus: Bus;
  cut(): void;
  heal(): void;
}

export function gatedBus(inner: Bus): GatedBus {
  let open = true;
  const bus: Bus = {
    start: () => inner.start(),
    close: () => inner.close(),
    publish: (subject, payload) => {
      if (open) inner.publish(subject, payload);
    },
    subscribe: (subject, onMessage) =>
      inner.subscribe(subject, (payload, from) => {
        if (open) onMessage(payload, from);
      }),
    async request(subject, payload, options) {
      if (!open) throw new TailraceError('timeout', 'the bus is cut');
      return await inner.request(subject, payload, options);
    },
    serve: (subject, onRequest) =>
      inner.serve(subject, (payload, from) => {
        if (!open) throw new TailraceError('unavailable', 'the bus is cut');
        return onRequest(payload, from);
      }),
    stats: () => inner.stats(),
  };
  return {
    bus,
    cut() {
      open = false;
    },
    heal() {
      open = true;
    },
  };
}
