import type { Logger } from '@tailrace/platform/logger';

/** Calls what a stranger gave us: whatever it throws, or rejects with later, is logged with the sentence and goes no further. */
export function guarded(logger: Logger, call: () => unknown, sentence: string): void {
  try {
    const result = call();
    if (result instanceof Promise) result.catch((error: unknown) => logger.error({ error }, sentence));
  } catch (error) {
    logger.error({ error }, sentence);
  }
}
