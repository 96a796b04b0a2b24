import { connect, createServer, type Server, type Socket } from 'node:net';

/** A node as the balancer knows it. */
export interface Backend {
  readonly port: number;
  /** Asked for `/readyz`. */
  readonly internal: string;
}

const checkEveryMs = 500;
const checkDeadlineMs = 1_000;

/**
 * One address in front of all nodes, as a Kubernetes Service is one: each new connection goes to the next node that is ready, and what has
 * been connected stays with its node. A node that does not say within a second that it is ready gets no new connections; one that refuses a
 * connection is passed over.
 */
export class Balancer {
  readonly #backends: readonly (Backend & { ready: boolean })[];
  readonly #server: Server;
  #turn = 0;

  constructor(backends: readonly Backend[]) {
    this.#backends = backends.map((backend) => ({ ...backend, ready: true }));
    this.#server = createServer({ noDelay: true }, (client) => this.#forward(client));
    for (const backend of this.#backends) setInterval(() => void check(backend), checkEveryMs);
  }

  /** Resolves with the port that it took. */
  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, resolve));
    return (this.#server.address() as { port: number }).port;
  }

  #forward(client: Socket): void {
    client.on('error', () => client.destroy());
    const ready = this.#backends.filter((backend) => backend.ready);
    const first = this.#turn++;
    const tryNext = (tries: number): void => {
      const backend = ready[(first + tries) % ready.length];
      if (backend === undefined || tries === ready.length) {
        client.destroy();
        return;
      }
      const node = connect({ port: backend.port, host: '127.0.0.1', noDelay: true });
      node.once('connect', () => {
        if (client.destroyed) return node.destroy();
        client.pipe(node).pipe(client);
        for (const [one, other] of [
          [client, node],
          [node, client],
        ] as const) {
          one.on('close', () => other.destroy());
        }
        node.on('error', () => client.destroy());
        node.off('error', refused);
        return undefined;
      });
      const refused = () => tryNext(tries + 1);
      node.once('error', refused);
    };
    tryNext(0);
  }
}

async function check(backend: Backend & { ready: boolean }): Promise<void> {
  const answer = fetch(`${backend.internal}/readyz`, { signal: AbortSignal.timeout(checkDeadlineMs) });
  backend.ready = await answer.then(
    (given) => given.body?.cancel().then(() => given.ok) ?? given.ok,
    () => false,
  );
}
