import { setTimeout as sleep } from 'node:timers/promises';
import { createTracing } from '@tailrace/platform/create-tracing';
import { silentLogger } from '@tailrace/platform/logger';
import { noTracing, type Tracing } from '@tailrace/platform/tracing';

/** As the target of the bench has it. */
export const sampleRatio = 0.01;
const warmUpSpans = 5_000;

/**
 * Tracing that the bench turns on and off between iterations of one process, so that nothing else differs. While it is
 * off, services do the same as without it, and check the flag.
 */
export interface SwitchedTracing extends Tracing {
  enabled: boolean;
}

/** Returns tracing that is off. `url`: of a collector; undefined: it stays off, and no library is loaded. */
export async function createSwitchedTracing(service: string, url: string | undefined): Promise<SwitchedTracing> {
  if (url === undefined) return { ...noTracing };
  const tracing = await createTracing({ service, node: 'bench', url, sampleRatio, logger: silentLogger });
  await warmUp(tracing);
  return { ...tracing, enabled: false };
}

/**
 * After some minutes a process has made thousands of spans, and the code that makes and sends them is compiled; until
 * then they cost five times as much.
 */
async function warmUp(tracing: Tracing): Promise<void> {
  for (let n = 1; n <= warmUpSpans; n++) {
    const span = tracing.span('warm-up', { n, of: 'the bench' }, { kind: 'server' });
    tracing.span('step', { n }, { parent: span.traceparent, links: [span.traceparent], kind: 'producer' }).end();
    span.set('done', true);
    span.end();
    // So that they are sent, and none is dropped.
    if (n % 250 === 0) await sleep(50);
  }
}

/** Of a request that ingest has traced, for one in a hundred; undefined for the others. */
export function tracedHeaders(): { readonly traceparent: string } | undefined {
  if (Math.random() >= sampleRatio) return undefined;
  const digits = (count: number) =>
    Array.from({ length: count }, () => (1 + Math.floor(Math.random() * 15)).toString(16)).join('');
  return { traceparent: `00-${digits(32)}-${digits(16)}-01` };
}
