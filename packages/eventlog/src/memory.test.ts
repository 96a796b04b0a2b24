import { systemClock } from '@tailrace/platform/clock';
import { failOnLeaks } from '@tailrace/testkit/leakcheck';
import { eventLogContract } from '../test/contract.ts';
import { createMemoryLog } from './memory.ts';

failOnLeaks();

eventLogContract('memory', {
  tooLargeBytes: 2_000_000,
  deadlineMs: 5_000,
  async create(options = {}) {
    const memory = createMemoryLog({ clock: systemClock, ...options });
    const log = memory.connect();
    await log.start();
    const opened = [log];
    return {
      log,
      forget: (topic, partition, first) => log.forget(topic, partition, first),
      async reopen() {
        await log.close();
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
