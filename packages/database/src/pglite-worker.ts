import { parentPort, workerData } from 'node:worker_threads';
import type { ServerReport } from './database-error.ts';
import { openPglite } from './pglite-engine.ts';
import type { PgliteReply, PgliteRequest, PgliteWorkerData } from './pglite-messages.ts';

/* The worker thread of an embedded store: a long statement blocks this thread alone. */

function reportFrom(error: unknown): ServerReport {
  const { message, code, constraint, detail } = error as ServerReport;
  return { message, code, constraint, detail };
}

async function serve(data: PgliteWorkerData): Promise<void> {
  const port = parentPort!;
  const send = (reply: PgliteReply) => port.postMessage(reply);
  const engine = await openPglite(data);
  engine.onNotification((channel, payload) => send({ channel, payload }));
  // One after the other: PGlite would queue them as well, but not report a stop of PostgreSQL to each.
  let last = Promise.resolve();
  port.on('message', ({ id, ...call }: PgliteRequest) => {
    last = last.then(async () => {
      try {
        send({ id, result: await engine.run(call) });
      } catch (error) {
        send({ id, error: reportFrom(error) });
        // A WebAssembly trap: its memory may be in any state.
        if (error instanceof Error && error.name === 'RuntimeError') send({ failed: error.message });
      }
      if (call.call === 'close') port.close();
    });
  });
  send({ started: true });
}

await serve(workerData as PgliteWorkerData);
