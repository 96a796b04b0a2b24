import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { createFrameDecoder, opcodes } from '@tailrace/testkit/ws-frames';

/** A message of a session of a device, as docs/PROTOCOL.md defines it. */
export interface SessionMessage {
  readonly type?: string;
  readonly msgid?: string;
  /** The device of a message of a gateway. */
  readonly from?: string;
  readonly payload?: {
    readonly status?: string;
    readonly readings?: readonly { readonly tag: string; readonly value: unknown }[];
    readonly messages?: readonly SessionMessage[];
    readonly rejected?: readonly { readonly index: number }[];
  };
}

export interface SessionProxy {
  readonly port: number;
  stop(): Promise<void>;
}

const headEnd = '\r\n\r\n';

/**
 * Starts a proxy between gateways and ingest. `onAcknowledged` receives each message that ingest has accepted, those of
 * a batch one by one.
 */
export async function startSessionProxy(
  targetPort: () => number,
  onAcknowledged: (message: SessionMessage) => void,
): Promise<SessionProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(targetPort(), '127.0.0.1');
    const sent = new Map<string, SessionMessage>();
    pass(client, upstream, (message) => {
      if (message.msgid !== undefined) sent.set(message.msgid, message);
    });
    pass(upstream, client, ({ type, msgid = '', payload }) => {
      const message = sent.get(msgid);
      if (type !== 'ack' || message === undefined) return;
      sent.delete(msgid);
      if (payload?.status === 'rejected') return;
      const rejected = new Set(payload?.rejected?.map(({ index }) => index));
      const messages = message.payload?.messages ?? [message];
      messages.forEach((each, index) => {
        if (!rejected.has(index)) onAcknowledged(each);
      });
    });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      for (const socket of sockets) socket.destroy();
      if (server.listening) await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Passes the bytes on, and each message after the heads of HTTP to `onMessage`. */
function pass(from: Socket, to: Socket, onMessage: (message: SessionMessage) => void): void {
  const decode = createFrameDecoder();
  let head: string | undefined = '';
  let parts: Buffer[] = [];
  from.on('data', (chunk: Buffer) => {
    to.write(chunk);
    let bytes = chunk;
    if (head !== undefined) {
      const text: string = head + chunk.toString('latin1');
      const end = text.indexOf(headEnd);
      head = end < 0 ? text : undefined;
      if (end < 0) return;
      bytes = Buffer.from(text.slice(end + headEnd.length), 'latin1');
    }
    for (const { opcode, fin, payload } of decode(bytes)) {
      if (opcode !== opcodes.text && opcode !== opcodes.continuation) continue;
      parts.push(payload);
      if (!fin) continue;
      onMessage(JSON.parse(Buffer.concat(parts).toString()) as SessionMessage);
      parts = [];
    }
  });
}
