import type { Log } from '@tailrace/platform/log';

/** Calls what a stranger gave us: whatever it throws, or rejects with later, is logged with the sentence and goes no further. */
export function guarded(log: Log, call: () => unknown, sentence: string): void {
  try {
    const result = call();
    if (result instanceof Promise) result.catch((error: unknown) => log.error({ error }, sentence));
  } catch (error) {
    log.error({ error }, sentence);
  }
}
