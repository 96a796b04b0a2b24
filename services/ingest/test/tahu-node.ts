import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createInbox } from '@tailrace/testkit/eventually';
import { javaProgram } from '@tailrace/testkit/maven';
import type { PeerCommand } from './sparkplug-node.ts';

/** The library of edge nodes of the Eclipse Foundation. Its logger writes to stdout. */
const dependencies = [
  { name: 'org.eclipse.tahu:tahu-edge:1.0.13', without: ['ch.qos.logback:logback-classic'] },
  { name: 'org.slf4j:slf4j-nop:2.0.6' },
];

export interface TahuConnect {
  readonly op: 'connect';
  readonly group: string;
  readonly node: string;
  readonly device: string;
  readonly host: string;
  readonly port: number;
  readonly username?: string;
  readonly password?: string;
  /** The host for which it waits. */
  readonly primaryHost?: string;
}

export type TahuRequest =
  | TahuConnect
  | { readonly op: 'skip'; readonly node: string }
  | {
      readonly op: 'data';
      readonly node: string;
      readonly device?: true;
      readonly name: string;
      readonly value: number;
    };

/** Edge nodes of Eclipse Tahu, each with one device, in one process. */
export async function startTahuNodes() {
  const source = join(import.meta.dirname, 'TahuNode.java');
  const { command, args } = await javaProgram(source, await readFile(source, 'utf8'), dependencies);
  // Each of its nodes polls without a pause.
  const child = spawn('nice', ['-n', '19', command, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = new Promise<void>((resolve) => child.on('exit', () => resolve()));
  const commands = createInbox<PeerCommand>();
  const done = createInbox<object>();
  /** Births and states, as in `birth n1` and `state true n1`. */
  const events: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    const message = JSON.parse(line) as { command?: string; birth?: string; state?: boolean; node?: string };
    if (message.command !== undefined) commands.put(message as PeerCommand);
    else if (message.birth !== undefined) events.push(`birth ${message.birth}`);
    else if (message.state !== undefined) events.push(`state ${message.state} ${message.node}`);
    else if ('done' in message) done.put(message);
  });
  return {
    commands,
    events,
    async run(request: TahuRequest): Promise<void> {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      await done.next();
    },
    /** The process is gone at once: brokers publish its wills. */
    async kill(): Promise<void> {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
