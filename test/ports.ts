import { createServer, type Server } from 'node:net';
import { isFreePort } from '@tailrace/testkit/free-port';

/** Offsets from PORT_BASE that `make demo` and `make stack` use (docs/OPERATIONS.md, "Ports"). */
const offsets = [0, 1, 2, 3, 4, 5, 6, 7];
const fanoutOffset = 20;
const internalOffset = 1010;

/** Above the ports of `freePort`: a broker would take one of them before the service starts that is to have it. */
const baseMin = 28_000;
const bases = 92;
/** At this distance no two bases have a port in common, internal ones included, with up to nine fanout nodes. */
const baseDistance = 40;
/** No service has this port. It is held while this process runs, so that another one chooses another base. */
const claimOffset = 39;

/** Returns a PORT_BASE whose ports are all free now, for `nodes` fanout nodes. */
export async function freePortBase(nodes = 3): Promise<number> {
  const all = [...offsets, ...Array.from({ length: nodes }, (_, i) => fanoutOffset + i)];
  for (;;) {
    const base = baseMin + baseDistance * Math.floor(Math.random() * bases);
    const claim = await listenOn(base + claimOffset);
    if (claim === undefined) continue;
    const ports = all.flatMap((offset) => [base + offset, base + offset + internalOffset]);
    if ((await Promise.all(ports.map(isFreePort))).every(Boolean)) return base;
    claim.close();
  }
}

/** Resolves with undefined if another process listens there. The server does not keep this process alive. */
function listenOn(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(server.unref()));
  });
}
