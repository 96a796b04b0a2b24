import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { createMemoryLog, type MemoryConnectOptions, type MemoryLogOptions } from '../src/memory.ts';

export const spec = { name: 't', partitions: 6, retentionMs: 86_400_000, retentionBytes: 1_000_000_000 };

/** Creates a log under a fake clock, with a topic of six partitions and any number of connections. */
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
