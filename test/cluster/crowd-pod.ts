/**
 * In a pod of the cluster: devices that report, and SDK clients that watch them, both through the Services. Asked by
 * the run outside over HTTP on loopback (`remote-crowd.ts`), so that nothing of what it sees depends on the way in.
 */
import { createServer, type IncomingMessage } from 'node:http';
import { availableParallelism, loadavg } from 'node:os';
import { text } from 'node:stream/consumers';
import { Crowd } from '../chaos/client-processes.ts';
import { Fleet } from '../chaos/fleet.ts';
import { planOf } from '../chaos/plan.ts';
import { type CrowdAnswers, type CrowdAsk, type CrowdAsks, crowdPort } from './crowd-asks.ts';

const token = process.env['TOKEN'] ?? '';
let fleet: Fleet | undefined;
let crowd: Crowd | undefined;

const handlers: { readonly [K in CrowdAsk]: (ask: CrowdAsks[K]) => Promise<CrowdAnswers[K]> } = {
  async open({ clients, devices, intervalMs, streamUrl, ingestUrl }) {
    fleet = new Fleet({ devices, intervalMs, ingestUrl, token });
    crowd = new Crowd(clients);
    fleet.start();
    const plans = Array.from({ length: clients }, (_, i) => planOf(i, devices));
    await crowd.open(plans, { urls: [streamUrl], token });
    return null;
  },
  async begin() {
    await open().crowd.begin({ atMs: Date.now(), acknowledged: open().fleet.acknowledged });
    return { load: `load ${loadavg()[0]!.toFixed(1)} on ${availableParallelism()} cores` };
  },
  async reach({ deadlineMs, everything }) {
    const { fleet, crowd } = open();
    if (everything) await fleet.stop();
    const reached = await crowd.reach({ targets: everything ? fleet.acknowledged : fleet.next(), deadlineMs });
    const { retries, lastRefusal } = fleet;
    return { ...reached, losses: [...reached.losses], retries, lastRefusal };
  },
  async end() {
    const { fleet, crowd } = open();
    return crowd.end({ acknowledged: fleet.acknowledged, sent: fleet.sent });
  },
};

function open(): { fleet: Fleet; crowd: Crowd } {
  if (fleet === undefined || crowd === undefined) throw new Error('nothing is open: ask open first');
  return { fleet, crowd };
}

async function answer(request: IncomingMessage): Promise<unknown> {
  const kind = (request.url ?? '').slice(1);
  if (!Object.hasOwn(handlers, kind)) throw new Error(`asked ${kind}; there are ${Object.keys(handlers).join(', ')}`);
  const handler = handlers[kind as CrowdAsk] as (ask: unknown) => Promise<unknown>;
  return handler(JSON.parse(await text(request)));
}

const server = createServer((request, response) => {
  answer(request).then(
    (body) => response.end(JSON.stringify(body)),
    (error: unknown) => response.writeHead(500).end(String(error)),
  );
});
server.listen(crowdPort, '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
