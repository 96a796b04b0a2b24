import { connectRawWebSocket, type RawWebSocket } from '@tailrace/testkit/raw-websocket';
import type { ServerMessage } from './device-fixture.ts';

export interface RawDeviceOptions {
  readonly port: number;
  readonly token: string;
  /** Default: plant1.line2.press7. */
  readonly device?: string;
  /** Of the `auth`, beside device, token and challenge. */
  readonly auth?: object;
  readonly answersPings?: boolean;
}

/** A device on a real socket, by docs/PROTOCOL.md alone. */
export class RawDevice {
  readonly socket: RawWebSocket;
  readonly hello: ServerMessage;

  constructor(socket: RawWebSocket, hello: ServerMessage) {
    this.socket = socket;
    this.hello = hello;
  }

  send(message: object): void {
    this.socket.sendText(JSON.stringify(message));
  }

  status(msgid: string, value: number, rest: object = {}): void {
    this.send({ type: 'status', msgid, payload: { readings: [{ tag: 'n', value }] }, ...rest });
  }

  next(deadlineMs = 10_000): Promise<ServerMessage> {
    return this.socket.nextJson({ deadlineMs }) as Promise<ServerMessage>;
  }

  /** Resolves with the next message, as `ID status` or `ID code`. */
  async ack(deadlineMs = 10_000): Promise<string> {
    const { msgid, type, payload } = await this.next(deadlineMs);
    return `${msgid ?? type} ${payload.code ?? payload.status}`;
  }
}

/** Connects, and resolves when `hello` is received. */
export async function connectDevice({
  port,
  answersPings = true,
}: Omit<RawDeviceOptions, 'token'>): Promise<RawDevice> {
  const protocols = ['tailrace.device.v1.json'];
  // As all libraries do: without its answer the server waits two seconds for one.
  const answersCloses = true;
  const socket = await connectRawWebSocket({ port, path: '/v1/device', protocols, answersPings, answersCloses });
  return new RawDevice(socket, (await socket.nextJson()) as ServerMessage);
}

/** Connects and authenticates. Resolves when the session is live. */
export async function loginDevice(options: RawDeviceOptions): Promise<RawDevice> {
  const { token, device = 'plant1.line2.press7', auth } = options;
  const raw = await connectDevice(options);
  const { challenge } = raw.hello.payload;
  raw.send({ type: 'auth', payload: { device, token, challenge, ...auth } });
  const { type } = await raw.next();
  if (type !== 'welcome') throw new Error(`expected welcome, got ${type}`);
  return raw;
}
