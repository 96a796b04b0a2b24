import type { Logger } from '@tailrace/platform/logger';
import { createInbox, type Inbox } from '@tailrace/testkit/eventually';
import type { Bus } from '../src/bus.ts';
import { createNatsBus, type NatsBusOptions } from '../src/nats.ts';

export type BusState = 'connected' | 'disconnected';

export interface NatsBench {
  /** Returns a started bus on the server, with short waits. */
  open(options?: Partial<NatsBusOptions>): Promise<{ bus: Bus; states: Inbox<BusState>; complaints: string[] }>;
  close(): Promise<void>;
}

export function createNatsBench(url: string): NatsBench {
  const buses: Bus[] = [];
  return {
    async open(options = {}) {
      const complaints: string[] = [];
      const states = createInbox<BusState>();
      const bus = createNatsBus({
        servers: [url],
        name: `node-${buses.length}`,
        logger: watchingLogger(complaints, states),
        closeTimeoutMs: 300,
        reconnectBackoff: { baseMs: 10, capMs: 50 },
        ...options,
      });
      buses.push(bus);
      await bus.start();
      states.put('connected');
      return { bus, states, complaints };
    },
    async close() {
      await Promise.all(buses.map((bus) => bus.close()));
    },
  };
}

/** Collects warnings and errors, and the connection states from the log, as an operator reads them. */
function watchingLogger(complaints: string[], states: Inbox<BusState>): Logger {
  const complain = (_facts: object, message: string) => {
    complaints.push(message);
    if (message === 'lost the connection to NATS, reconnecting') states.put('disconnected');
  };
  const info = (_facts: object, message: string) => {
    if (message === 'connected to NATS again') states.put('connected');
  };
  const logger: Logger = { debug() {}, info, warn: complain, error: complain, child: () => logger };
  return logger;
}
