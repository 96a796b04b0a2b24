import { createHash, randomBytes } from 'node:crypto';
import { TailraceError } from '@tailrace/protocol/error';
import { createInbox } from './eventually.ts';
import { connectRaw, isEnd, type RawResponse, type RawSocket, readResponse } from './raw-socket.ts';
import {
  closeFrom,
  closePayload,
  createFrameDecoder,
  encodeFrame,
  type Frame,
  type FrameToSend,
  opcodes,
} from './ws-frames.ts';

export interface RawWebSocketOptions {
  port: number;
  host?: string;
  /** With the query. Default `/`. */
  path?: string;
  /** Subprotocols to offer. */
  protocols?: readonly string[];
  headers?: Readonly<Record<string, string>>;
  /** Whether pings are answered automatically. Default true; false is for a client that has disappeared. */
  answersPings?: boolean;
  /** Whether a close frame is answered automatically, as libraries do. Default false. */
  answersCloses?: boolean;
  deadlineMs?: number;
}

export interface Message {
  readonly type: 'text' | 'binary';
  readonly payload: Buffer;
}

export interface Close {
  /** 1005: a close frame without a code; 1006: the connection was closed without a close frame. */
  readonly code: number;
  readonly reason: string;
}

/** A WebSocket client (RFC 6455) that can violate the protocol. */
export interface RawWebSocket {
  /** The TCP connection: to write bytes that are no frame, to stop reading, to reset it. */
  readonly socket: RawSocket;
  /** Which subprotocol the server chose. */
  readonly protocol: string | undefined;
  /** Which extensions the server agreed on, as it wrote them. */
  readonly extensions: string | undefined;
  sendText(text: string): void;
  sendBinary(payload: Uint8Array): void;
  /** Sends one message in several frames: the first with the opcode, the others continuations, the last with FIN. */
  sendFragments(type: 'text' | 'binary', parts: ReadonlyArray<string | Uint8Array>): void;
  sendFrame(frame: FrameToSend): void;
  ping(payload?: string): void;
  pong(payload?: string): void;
  /** Sends a close frame; `closed` resolves when the server has replied and closed. */
  close(code?: number, reason?: string): void;
  /**
   * Resolves with the next message that was not taken yet, assembled from its fragments. Rejects with `timeout`, or
   * with `closed` and the server's close code.
   */
  nextMessage(options?: { deadlineMs?: number }): Promise<Message>;
  /** `nextMessage` as JSON. */
  nextJson(options?: { deadlineMs?: number }): Promise<unknown>;
  /** All received frames, control frames included. */
  readonly frames: readonly Frame[];
  /** The next frame of that opcode. */
  nextFrame(opcode: number, options?: { deadlineMs?: number }): Promise<Frame>;
  /** Never rejects. */
  readonly closed: Promise<Close>;
}

/** RFC 6455, section 1.3. */
const handshakeGuid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/**
 * Connects and upgrades. Rejects with `forbidden` if the server refuses, with its status and body in the message and
 * the whole response as the cause.
 */
export async function connectRawWebSocket(options: RawWebSocketOptions): Promise<RawWebSocket> {
  const { port, host = '127.0.0.1', path = '/', protocols = [] } = options;
  const limits = options.deadlineMs === undefined ? {} : { deadlineMs: options.deadlineMs };
  const socket = await connectRaw({ port, host, ...limits });
  const key = randomBytes(16).toString('base64');
  const headers: Record<string, string> = {
    Host: `${host}:${port}`,
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': key,
    ...(protocols.length > 0 ? { 'Sec-WebSocket-Protocol': protocols.join(', ') } : {}),
    ...options.headers,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`);
  const answer = await readResponse(socket, limits).catch((error: unknown) => {
    socket.close();
    throw error;
  });
  const expected = createHash('sha1')
    .update(key + handshakeGuid)
    .digest('base64');
  if (answer.status !== 101 || answer.headers['sec-websocket-accept'] !== expected) {
    socket.close();
    throw new TailraceError(
      'forbidden',
      `the server does not upgrade ${path}: status ${answer.status}, ${answer.body.slice(0, 500)}`,
      { cause: answer },
    );
  }
  return createRawWebSocket(socket, answer.headers, options);
}

function createRawWebSocket(
  socket: RawSocket,
  handshake: RawResponse['headers'],
  { answersPings = true, answersCloses = false }: RawWebSocketOptions,
): RawWebSocket {
  let hasClosed = false;
  const frames = createInbox<Frame>();
  const messages = createInbox<Message | Close>();
  const sendFrame = (frame: FrameToSend) => socket.write(encodeFrame(frame));
  const closed = receive(socket, (frame, fragments) => {
    frames.put(frame);
    if (frame.opcode === opcodes.ping && answersPings) sendFrame({ opcode: opcodes.pong, payload: frame.payload });
    if (frame.opcode === opcodes.close && answersCloses && !hasClosed) sendFrame(frame);
    if (fragments) {
      messages.put({
        type: fragments[0]!.opcode === opcodes.text ? 'text' : 'binary',
        payload: Buffer.concat(fragments.map((part) => part.payload)),
      });
    }
  });
  void closed.then(messages.put);
  const nextMessage: RawWebSocket['nextMessage'] = async (options) => {
    const next = await messages.next({ ...options, describe: 'the next message' });
    if ('type' in next) return next;
    // For the next call as well.
    messages.put(next);
    throw new TailraceError('closed', `the server closed: ${next.code} ${next.reason}`);
  };
  return {
    socket,
    protocol: handshake['sec-websocket-protocol'],
    extensions: handshake['sec-websocket-extensions'],
    closed,
    frames: frames.all,
    sendFrame,
    sendText: (payload) => sendFrame({ opcode: opcodes.text, payload }),
    sendBinary: (payload) => sendFrame({ opcode: opcodes.binary, payload }),
    sendFragments(type, parts) {
      for (const [i, payload] of parts.entries()) {
        sendFrame({ opcode: i === 0 ? opcodes[type] : opcodes.continuation, fin: i === parts.length - 1, payload });
      }
    },
    ping: (payload = '') => sendFrame({ opcode: opcodes.ping, payload }),
    pong: (payload = '') => sendFrame({ opcode: opcodes.pong, payload }),
    close(code, reason) {
      hasClosed = true;
      sendFrame({ opcode: opcodes.close, payload: closePayload(code, reason) });
    },
    nextMessage,
    nextJson: async (options) => JSON.parse((await nextMessage(options)).payload.toString('utf8')),
    nextFrame: (opcode, options) =>
      frames.next({ ...options, where: (frame) => frame.opcode === opcode, describe: `a frame with opcode ${opcode}` }),
  };
}

/** Reads to the end of the connection. With the last frame of a message, `onFrame` gets all of its frames. */
async function receive(socket: RawSocket, onFrame: (frame: Frame, message?: readonly Frame[]) => void): Promise<Close> {
  const decode = createFrameDecoder();
  let fragments: Frame[] = [];
  let close: Close = { code: 1006, reason: '' };
  try {
    for (;;) {
      // Without a deadline: those of the test's own calls apply.
      const chunk = await socket.readSome({ deadlineMs: 2 ** 31 - 1 });
      if (chunk.length === 0) break;
      for (const frame of decode(chunk)) {
        if (frame.opcode === opcodes.close) close = closeFrom(frame.payload);
        if (frame.opcode > opcodes.binary) {
          onFrame(frame);
          continue;
        }
        fragments.push(frame);
        onFrame(frame, frame.fin ? fragments : undefined);
        if (frame.fin) fragments = [];
      }
    }
  } catch (error) {
    if (!isEnd(error)) close = { code: 1006, reason: (error as Error).message };
  }
  socket.close();
  return close;
}
