import { freePort, isFreePort } from '@tailrace/testkit/freeport';

/** Offsets from PORT_BASE that `make demo` and `make stack` use (docs/OPERATIONS.md, "Ports"). */
const offsets = [0, 1, 2, 3, 20, 21, 22];
const internalOffset = 1010;

/** A PORT_BASE whose ports are all free now. */
export async function freePortBase(): Promise<number> {
  for (;;) {
    const base = await freePort();
    const ports = offsets.flatMap((offset) => [base + offset, base + offset + internalOffset]);
    if ((await Promise.all(ports.map(isFreePort))).every(Boolean)) return base;
  }
}
