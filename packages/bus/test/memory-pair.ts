import { createFakeClock, type FakeClock } from '@tailrace/testkit/fake-clock';
import { seededRandom } from '@tailrace/testkit/random';
import type { Bus } from '../src/bus.ts';
import { createMemoryNetwork, type MemoryNetwork, type MemoryNetworkOptions } from '../src/memory.ts';
import { createComplaintLog, text } from './contract-bench.ts';

export const logger = createComplaintLog([]);

export interface Pair {
  clock: FakeClock;
  network: MemoryNetwork;
  a: Bus;
  b: Bus;
  /** What b received on `x.>`, with the time. */
  seen: string[];
}

/** Two nodes on a network with a clock that stands still. */
export async function createPair(
  options: Omit<MemoryNetworkOptions, 'clock' | 'random'> & { seed?: number; pendingBytesMax?: number } = {},
): Promise<Pair> {
  const clock = createFakeClock();
  const { seed = 1, pendingBytesMax, ...conditions } = options;
  const network = createMemoryNetwork({ clock, random: seededRandom(seed), ...conditions });
  const a = network.createBus({ node: 'a', logger, ...(pendingBytesMax === undefined ? {} : { pendingBytesMax }) });
  const b = network.createBus({ node: 'b', logger });
  await Promise.all([a.start(), b.start()]);
  const seen: string[] = [];
  await b.subscribe('x.>', (payload) => seen.push(`${text(payload)}@${Math.round(clock.monotonic())}`));
  return { clock, network, a, b, seen };
}
