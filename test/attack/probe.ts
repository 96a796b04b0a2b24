import type { Measured } from './repeated-measurement.ts';

/** Pause between two probes. */
export const probePauseMs = 100;

/**
 * Requests a page on a new connection, as a kubelet does: anything but 200 in time is a failure. Never rejects.
 */
export async function probe(url: string, deadlineMs: number): Promise<Measured> {
  const startedAtMs = performance.now();
  try {
    const signal = AbortSignal.timeout(deadlineMs);
    const answer = await fetch(url, { headers: { connection: 'close' }, signal });
    await answer.arrayBuffer();
    return answer.ok ? { ms: performance.now() - startedAtMs } : { failure: `${url}: ${answer.status}` };
  } catch (error) {
    return { failure: `${url}: ${String((error as Error).cause ?? error)}` };
  }
}
