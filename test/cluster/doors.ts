import type { Kubectl } from './kubectl.ts';

/** Packets that a policy drops are never answered. */
const silentAfterMs = 2_000;
const connectCode = `const { connect } = require('node:net');
const doors = JSON.parse(process.argv[1]);
Promise.all(doors.map((door) => new Promise((resolve) => {
  const socket = connect({ host: door.host, port: door.port, timeout: ${silentAfterMs} });
  const end = (state) => { socket.destroy(); resolve(state); };
  socket.on('connect', () => end('open')).on('timeout', () => end('silent')).on('error', (error) => end(error.code ?? 'error'));
}))).then((states) => process.stdout.write(JSON.stringify(states)));`;

export interface Door {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Whether it is to be open. */
  readonly open: boolean;
}

/** Knocks at all doors from within a pod. Answers with what is not as it should be. */
export async function knock(kubectl: Kubectl, pod: string, doors: readonly Door[]): Promise<string[]> {
  const states = JSON.parse(await kubectl.node(pod, connectCode, [JSON.stringify(doors)])) as string[];
  return doors.flatMap(({ name, host, port, open }, i) =>
    (states[i] === 'open') === open
      ? []
      : [`from ${pod}: ${name} (${host}:${port}) is ${states[i]}, and should ${open ? '' : 'not '}be open`],
  );
}
