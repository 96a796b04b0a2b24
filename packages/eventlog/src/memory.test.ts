import { systemClock } from '@tailrace/platform/clock';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { eventLogContract } from '../test/contract.ts';
import { createMemoryLog } from './memory.ts';

failOnLeaks();

eventLogContract('memory', {
  tooLargeBytes: 2_000_000,
  deadlineMs: 5_000,
  async create(options = {}) {
    const memory = createMemoryLog({ clock: systemClock, ...options });
    const eventLog = memory.connect();
    await eventLog.start();
    const opened = [eventLog];
    return {
      eventLog,
      forget: (topic, partition, first) => eventLog.forget(topic, partition, first),
      async reopen() {
        await eventLog.close();
        const another = memory.connect();
        await another.start();
        opened.push(another);
        return another;
      },
      async dispose() {
        for (const each of opened) await each.close();
      },
    };
  },
});
