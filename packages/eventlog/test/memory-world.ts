import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { createMemoryLog, type MemoryConnectOptions, type MemoryLogOptions } from '../src/memory.ts';

export const spec = { name: 't', partitions: 6, retentionMs: 86_400_000, retentionBytes: 1_000_000_000 };

/** A log under a clock that stands still, with a topic of six partitions and as many nodes as are asked for. */
export function createWorld(options: Partial<MemoryLogOptions> = {}) {
  const clock = createFakeClock();
  const memory = createMemoryLog({ clock, ...options });
  async function connect(connectOptions: MemoryConnectOptions = {}) {
    const eventLog = memory.connect(connectOptions);
    await eventLog.start();
    await eventLog.ensureTopic(spec);
    return eventLog;
  }
  return { clock, connect };
}

export function sorted(partitions: readonly number[]): number[] {
  return [...partitions].sort((a, b) => a - b);
}
