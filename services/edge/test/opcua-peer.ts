import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { eventually } from '@tailrace/testkit/eventually';
import { freePorts } from '@tailrace/testkit/free-port';
import { pythonWith } from '@tailrace/testkit/python';
import { startSupervised } from '@tailrace/testkit/supervised';
import { startTcpProxy } from '@tailrace/testkit/tcp-proxy';

export interface OpcuaPeer {
  readonly port: number;
  /** Resolves with the answer of the server to a command: see the scripts. */
  ask(command: object): Promise<unknown>;
  stop(): Promise<void>;
}

/** Starts `opcua-server.ts`. `port`: the one before, after a restart. */
export async function startNodeOpcuaServer(pki: string, mode = 'plain', port?: number): Promise<OpcuaPeer> {
  const [free, control] = await freePorts(2);
  const script = join(import.meta.dirname, 'opcua-server.ts');
  return start(process.execPath, [script, `${port ?? free}`, `${control}`, pki, mode], port ?? free!, control!);
}

/** Starts `asyncua_server.py`. Its version is exact: the script stops one of its inner tasks. */
export async function startAsyncuaServer(): Promise<OpcuaPeer> {
  const python = await pythonWith(['asyncua==2.1.0']);
  const [port, control] = await freePorts(2);
  return start(python, [join(import.meta.dirname, 'asyncua_server.py'), `${port}`, `${control}`], port!, control!);
}

async function start(command: string, args: readonly string[], port: number, control: number): Promise<OpcuaPeer> {
  const running = await startSupervised({ command, args, output: 'pipes' });
  const lines: string[] = [];
  createInterface({ input: running.child.stdout! }).on('line', (line) => lines.push(line));
  createInterface({ input: running.child.stderr! }).on('line', (line) => lines.push(line));
  await eventually(() => lines.includes('ready') || running.exit() !== undefined, {
    deadlineMs: 60_000,
    describe: 'the OPC UA server is ready',
  });
  assert.equal(running.exit(), undefined, lines.join('\n'));
  const socket = connect({ host: '127.0.0.1', port: control, noDelay: true });
  const waiting: ((line: string) => void)[] = [];
  createInterface({ input: socket }).on('line', (line) => waiting.shift()!(line));
  socket.on('error', () => {});
  return {
    port,
    ask(question) {
      return new Promise((resolve) => {
        waiting.push((line) => resolve(JSON.parse(line)));
        socket.write(`${JSON.stringify(question)}\n`);
      });
    },
    async stop() {
      socket.destroy();
      await running.stop({ signal: 'SIGTERM', deadlineMs: 2_000 });
    },
  };
}

export interface UnstableLink {
  readonly port: number;
  /** Changes what the server sends; undefined: it is lost; a promise: it is late, and so is what follows. */
  onReply: (bytes: Buffer) => Buffer | undefined | Promise<Buffer | undefined>;
  /** Resets all connections, as a cable that is pulled. */
  reset(): void;
  close(): Promise<void>;
}

/** Starts a TCP proxy before a server, whose connections a test resets, and whose bytes it changes. */
export async function startUnstableLink(serverPort: number): Promise<UnstableLink> {
  const proxy = await startTcpProxy({
    target: () => ({ port: serverPort }),
    pass(client, server) {
      client.pipe(server);
      let before = Promise.resolve();
      server.on('data', (bytes: Buffer) => {
        const reply = link.onReply(bytes);
        before = before.then(async () => {
          const passed = await reply;
          if (passed !== undefined && !client.destroyed) client.write(passed);
        });
      });
    },
  });
  const link: UnstableLink = {
    port: proxy.port,
    onReply: (bytes) => bytes,
    reset: () => proxy.reset(),
    async close() {
      proxy.reset();
      await proxy.close();
    },
  };
  return link;
}
