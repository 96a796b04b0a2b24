import type { Kubectl } from './kubectl.ts';

/** Packets that a policy drops get no response. */
const connectTimeoutMs = 2_000;
const connectCode = `const { connect } = require('node:net');
const endpoints = JSON.parse(process.argv[1]);
Promise.all(endpoints.map((endpoint) => new Promise((resolve) => {
  const socket = connect({ host: endpoint.host, port: endpoint.port, timeout: ${connectTimeoutMs} });
  const end = (state) => { socket.destroy(); resolve(state); };
  socket.on('connect', () => end('open')).on('timeout', () => end('timeout')).on('error', (error) => end(error.code ?? 'error'));
}))).then((states) => process.stdout.write(JSON.stringify(states)));`;

export interface Endpoint {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Whether it must be open. */
  readonly open: boolean;
}

/** Connects to all endpoints from within a pod. Returns those that are in an unexpected state. */
export async function probeEndpoints(kubectl: Kubectl, pod: string, endpoints: readonly Endpoint[]): Promise<string[]> {
  const states = JSON.parse(await kubectl.node(pod, connectCode, [JSON.stringify(endpoints)])) as string[];
  return endpoints.flatMap(({ name, host, port, open }, i) =>
    (states[i] === 'open') === open
      ? []
      : [`from ${pod}: ${name} (${host}:${port}) expected ${open ? 'open' : 'closed'}, got ${states[i]}`],
  );
}
