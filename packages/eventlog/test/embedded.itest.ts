import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { createEmbeddedLog } from '../src/embedded.ts';
import { eventLogContract } from './contract.ts';

failOnLeaks();

eventLogContract('embedded', {
  tooLargeBytes: 2_000_000,
  deadlineMs: 10_000,
  async create(options = {}) {
    const path = await mkdtemp(join(tmpdir(), 'tailrace-eventlog-'));
    const create = () => createEmbeddedLog({ path, clock: systemClock, logger: silentLogger, ...options });
    const eventLog = create();
    await eventLog.start();
    const opened = [eventLog];
    return {
      eventLog,
      forget: (topic, partition, first) => eventLog.forget(topic, partition, first),
      async reopen() {
        await eventLog.close();
        const another = create();
        await another.start();
        opened.push(another);
        return another;
      },
      async dispose() {
        for (const each of opened) await each.close();
        await rm(path, { recursive: true });
      },
    };
  },
});
