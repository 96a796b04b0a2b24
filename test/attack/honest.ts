/** The process of the honest clients. */
import { TailraceError } from '@tailrace/protocol/error';
import { HonestClients, type HonestPlan } from './honest-clients.ts';
import { serveRequests } from './process-requests.ts';

let clients: HonestClients | undefined;

function started(): HonestClients {
  if (clients === undefined) throw new TailraceError('internal', 'honest clients: expected a start first');
  return clients;
}

const handlers = {
  async start(plan: HonestPlan) {
    await clients?.close();
    clients = new HonestClients(plan);
    await clients.start();
  },
  measure: (_: undefined) => started().measure(),
  settle: (options: { deadlineMs: number; isLast: boolean }) => started().settle(options),
  resume: (_: undefined) => started().resume(),
  withoutLastValues: (_: undefined) => started().withoutLastValues(),
  close: (_: undefined) => started().close(),
};

export type HonestHandlers = typeof handlers;

serveRequests(handlers);
