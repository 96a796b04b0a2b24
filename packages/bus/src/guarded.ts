import type { Logger } from '@tailrace/platform/logger';

/** Calls a callback of the bus's user. Logs what it throws, or rejects with, under `message`; does not pass it on. */
export function guarded(logger: Logger, call: () => unknown, message: string): void {
  try {
    const result = call();
    if (result instanceof Promise) result.catch((error: unknown) => logger.error({ error }, message));
  } catch (error) {
    logger.error({ error }, message);
  }
}
