import type { Fanout } from '@tailrace/fanout/app';
import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { TailraceError } from '@tailrace/protocol/error';

/** A node that does not read the log back is ready within this time, or the start fails. */
const readyDeadlineMs = 20_000;
const pollMs = 5;

/**
 * Resolves when clients can be served and alarms are evaluated, or once `isStopping`. Rejects with `timeout` after
 * 20 s, but waits as long as the log is read back. This takes longer on a slow machine and after many reports, and the
 * next start would have to do it again.
 */
export async function untilReady(options: {
  readonly services: Pick<Fanout, 'notReady' | 'isReadingBack'>;
  readonly clock: Pick<Clock, 'monotonic' | 'sleep'>;
  readonly logger: Pick<Logger, 'warn'>;
  readonly isStopping: () => boolean;
}): Promise<void> {
  const { services, clock, logger, isStopping } = options;
  let deadline = clock.monotonic() + readyDeadlineMs;
  for (let why = services.notReady(); why !== undefined && !isStopping(); why = services.notReady()) {
    if (clock.monotonic() > deadline) {
      if (!services.isReadingBack())
        throw new TailraceError('timeout', `not ready within ${readyDeadlineMs} ms: ${why}`);
      logger.warn({ why }, 'not ready yet: the log is read back to where it was before the last stop');
      deadline += readyDeadlineMs;
    }
    await clock.sleep(pollMs);
  }
}
