import type { Bus } from '@tailrace/bus/bus';
import { TailraceError } from '@tailrace/protocol/error';

/**
 * A bus from which its node can be isolated: nothing comes in or goes out, as if all packets were lost without a
 * disconnect.
 */
export interface GatedBus {
  readonly bus: Bus;
  isolate(): void;
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
      if (!open) throw new TailraceError('timeout', 'the node is isolated');
      return await inner.request(subject, payload, options);
    },
    serve: (subject, onRequest) =>
      inner.serve(subject, (payload, from) => {
        if (!open) throw new TailraceError('unavailable', 'the node is isolated');
        return onRequest(payload, from);
      }),
    stats: () => inner.stats(),
  };
  return {
    bus,
    isolate() {
      open = false;
    },
    heal() {
      open = true;
    },
  };
}
