import { createInbox, type Inbox } from '@tailrace/testkit/eventually';
import type { Bus, BusState } from '../src/bus.ts';
import { createNatsBus, type NatsBusOptions } from '../src/nats.ts';
import { createComplaintLog } from './contractbench.ts';

export interface NatsBench {
  /** A bus on the server, started unless told otherwise, with short waits. */
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
        log: createComplaintLog(complaints),
        closeTimeoutMs: 300,
        reconnectWait: { minMs: 10, maxMs: 50 },
        ...options,
      });
      buses.push(bus);
      await bus.start();
      bus.onState(states.put);
      return { bus, states, complaints };
    },
    async close() {
      await Promise.all(buses.map((bus) => bus.close()));
    },
  };
}
