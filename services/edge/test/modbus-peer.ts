import assert from 'node:assert/strict';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { eventually } from '@tailrace/testkit/eventually';
import { freePorts } from '@tailrace/testkit/free-port';
import { pythonWith } from '@tailrace/testkit/python';
import { startSupervised } from '@tailrace/testkit/supervised';
import { startTcpProxy } from '@tailrace/testkit/tcp-proxy';

/** A write that the server has received. */
export interface PeerWrite {
  readonly unit: number;
  readonly function: number;
  readonly address: number;
  readonly values: readonly number[];
}

export interface Peer {
  readonly port: number;
  readonly writes: readonly PeerWrite[];
  stop(): Promise<void>;
}

/** Starts `modbus_server.py`. Its version is pinned to a minor: the simulator changes with each. */
export async function startPeer(framing: 'tcp' | 'rtu'): Promise<Peer> {
  const python = await pythonWith(['pymodbus==3.16.1']);
  const [port] = await freePorts(1);
  const script = join(import.meta.dirname, 'modbus_server.py');
  const running = await startSupervised({ command: python, args: [script, `${port}`, framing], output: 'pipes' });
  const lines: string[] = [];
  const errors: string[] = [];
  createInterface({ input: running.child.stdout! }).on('line', (line) => lines.push(line));
  createInterface({ input: running.child.stderr! }).on('line', (line) => errors.push(line));
  await eventually(
    () => {
      // A server that cannot start is not waited for.
      return lines[0] === 'ready' || running.exit() !== undefined;
    },
    { deadlineMs: 60_000, describe: 'the Modbus server is ready' },
  );
  assert.equal(running.exit(), undefined, errors.join('\n'));
  return {
    port: port!,
    get writes() {
      return lines.slice(1).map((line) => JSON.parse(line) as PeerWrite);
    },
    async stop() {
      await running.stop({ signal: 'SIGTERM', deadlineMs: 2_000 });
    },
  };
}

/** What the proxy does with a reply of the device: whole frames of Modbus TCP, or any bytes. */
export type OnReply = (frame: Buffer, send: (bytes: Buffer) => void) => void;

export interface ReplyProxy {
  readonly port: number;
  onReply: OnReply;
  /** Connections since the start. */
  readonly connections: number;
  stop(): Promise<void>;
}

/**
 * Starts a proxy before a Modbus TCP server, which can delay, change, drop and repeat each reply. It passes one request
 * at a time, as a gateway to a serial line does: the server of pymodbus mixes up requests that come together.
 */
export async function startReplyProxy(serverPort: number): Promise<ReplyProxy> {
  let onReply: OnReply = (frame, send) => send(frame);
  const proxy = await startTcpProxy({
    target: () => ({ port: serverPort }),
    pass(client, device) {
      const requests: Buffer[] = [];
      let isBusy = false;
      const passNext = () => {
        const request = isBusy ? undefined : requests.shift();
        if (request === undefined) return;
        isBusy = true;
        device.write(request);
      };
      client.on(
        'data',
        framesOf((request) => {
          requests.push(request);
          passNext();
        }),
      );
      device.on(
        'data',
        framesOf((reply) => {
          isBusy = false;
          onReply(reply, (bytes) => void (client.destroyed || client.write(bytes)));
          passNext();
        }),
      );
    },
  });
  return {
    port: proxy.port,
    get onReply() {
      return onReply;
    },
    set onReply(call) {
      onReply = call;
    },
    get connections() {
      return proxy.connections;
    },
    stop: () => proxy.close(),
  };
}

/** Returns a listener that collects bytes, and calls for each whole frame of Modbus TCP. */
function framesOf(onFrame: (frame: Buffer) => void): (bytes: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    while (rest.length >= 6 && rest.length >= 6 + rest.readUInt16BE(4)) {
      const end = 6 + rest.readUInt16BE(4);
      onFrame(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
  };
}
