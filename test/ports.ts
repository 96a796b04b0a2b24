import { freePort, isFreePort } from '@tailrace/testkit/free-port';

/** Offsets from PORT_BASE that `make demo` and `make stack` use (docs/OPERATIONS.md, "Ports"). */
const offsets = [0, 1, 2, 3, 4, 5, 6];
const fanoutOffset = 20;
const internalOffset = 1010;

/** Returns a PORT_BASE whose ports are all free now, for `nodes` fanout nodes. */
export async function freePortBase(nodes = 3): Promise<number> {
  const all = [...offsets, ...Array.from({ length: nodes }, (_, i) => fanoutOffset + i)];
  for (;;) {
    const base = await freePort();
    const ports = all.flatMap((offset) => [base + offset, base + offset + internalOffset]);
    if ((await Promise.all(ports.map(isFreePort))).every(Boolean)) return base;
  }
}
