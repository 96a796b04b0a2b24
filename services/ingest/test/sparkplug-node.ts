import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createInbox } from '@tailrace/testkit/eventually';
import { pythonWith } from '@tailrace/testkit/python';

/** The same as those of packages/sparkplug/test, so that the cache has them. */
const requirements = ['pysparkplug==0.6.1', 'paho-mqtt==1.6.1', 'protobuf==7.36.2', 'typing-extensions==4.16.0'];

/** A metric with a number. */
export interface PeerMetric {
  readonly name: string;
  readonly value: number;
  readonly isHistorical?: boolean;
  readonly timestamp?: number;
}

export type PeerRequest =
  | { readonly op: 'connect' | 'skip' | 'disconnect' }
  | { readonly op: 'device'; readonly device: string; readonly metrics: readonly PeerMetric[] }
  | { readonly op: 'data'; readonly device?: string; readonly metrics: readonly PeerMetric[] }
  | { readonly op: 'remove'; readonly device: string };

/** A command that the node has received. */
export interface PeerCommand {
  readonly command: string;
  readonly names: readonly string[];
}

/** An edge node of pysparkplug, an independent implementation, in a process of its own. */
export async function startSparkplugNode(
  address: { readonly host: string; readonly port: number },
  node: string,
  credentials: readonly [username: string, password: string] | readonly [] = [],
) {
  const python = await pythonWith(requirements);
  const script = join(import.meta.dirname, 'sparkplug_node.py');
  const args = [script, address.host, String(address.port), 'g', node, ...credentials];
  const child = spawn(python, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = new Promise<void>((resolve) => child.on('exit', () => resolve()));
  const commands = createInbox<PeerCommand>();
  const done = createInbox<object>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const message = JSON.parse(line) as object;
    if ('command' in message) commands.put(message as PeerCommand);
    else done.put(message);
  });
  return {
    commands,
    async run(request: PeerRequest): Promise<void> {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      await done.next();
    },
    /** The process is gone at once: the broker publishes its will. */
    async kill(): Promise<void> {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
