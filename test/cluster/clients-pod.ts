/**
 * In a pod of the cluster: devices that report, and SDK clients that watch them, both through the Services. The run
 * outside sends requests over HTTP on loopback (`remote-clients.ts`), so that no result depends on that connection.
 */
import { createServer, type IncomingMessage } from 'node:http';
import { availableParallelism, loadavg } from 'node:os';
import { text } from 'node:stream/consumers';
import { ClientProcesses } from '../chaos/client-processes.ts';
import { Fleet } from '../chaos/fleet.ts';
import { planOf } from '../chaos/plan.ts';
import { type ClientReplies, type ClientRequestKind, type ClientRequests, clientsPort } from './client-requests.ts';

const token = process.env['TOKEN'] ?? '';
let fleet: Fleet | undefined;
let subscribers: ClientProcesses | undefined;

const handlers: { readonly [K in ClientRequestKind]: (request: ClientRequests[K]) => Promise<ClientReplies[K]> } = {
  async open({ clients, devices, intervalMs, streamUrl, ingestUrl }) {
    fleet = new Fleet({ devices, intervalMs, ingestUrl, token });
    subscribers = new ClientProcesses(clients);
    fleet.start();
    const plans = Array.from({ length: clients }, (_, i) => planOf(i, devices));
    await subscribers.open(plans, { urls: [streamUrl], token });
    return null;
  },
  async startDisruption() {
    await open().subscribers.startFault({ atMs: Date.now(), acknowledged: open().fleet.acknowledged });
    return { load: `load ${loadavg()[0]!.toFixed(1)} on ${availableParallelism()} cores` };
  },
  async reach({ deadlineMs, everything }) {
    const { fleet, subscribers } = open();
    if (everything) await fleet.stop();
    const reached = await subscribers.reach({ targets: everything ? fleet.acknowledged : fleet.next(), deadlineMs });
    const { retries, lastRefusal } = fleet;
    return { ...reached, losses: [...reached.losses], retries, lastRefusal };
  },
  async end() {
    const { fleet, subscribers } = open();
    return subscribers.end({ acknowledged: fleet.acknowledged, sent: fleet.sent });
  },
};

function open(): { fleet: Fleet; subscribers: ClientProcesses } {
  if (fleet === undefined || subscribers === undefined) throw new Error('no clients: expected the request open first');
  return { fleet, subscribers };
}

async function answer(request: IncomingMessage): Promise<unknown> {
  const kind = (request.url ?? '').slice(1);
  if (!Object.hasOwn(handlers, kind))
    throw new Error(`request: expected one of ${Object.keys(handlers).join(', ')}, got ${kind}`);
  const handler = handlers[kind as ClientRequestKind] as (request: unknown) => Promise<unknown>;
  return handler(JSON.parse(await text(request)));
}

const server = createServer((request, response) => {
  answer(request).then(
    (body) => response.end(JSON.stringify(body)),
    (error: unknown) => response.writeHead(500).end(String(error)),
  );
});
server.listen(clientsPort, '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
