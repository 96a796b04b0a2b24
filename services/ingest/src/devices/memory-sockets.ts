import type { ClientCertificate } from '@tailrace/platform/client-certificate';
import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import {
  type AcceptedUpgrade,
  closeDeadlineMs,
  closeReason,
  type DeviceSocket,
  type DeviceSocketHandlers,
  internalErrorCode,
  lostCode,
  noCode,
  tooLargeCode,
} from './device-socket.ts';

/** What one side sends to the other. */
type Frame =
  | { readonly type: 'message'; readonly data: string | Buffer }
  | { readonly type: 'ping' }
  | { readonly type: 'pong' }
  | { readonly type: 'close'; readonly code: number; readonly reason: string };

function bytesOf(frames: readonly Frame[]): number {
  let bytes = 0;
  for (const frame of frames) if (frame.type === 'message') bytes += Buffer.byteLength(frame.data);
  return bytes;
}

export interface MemorySocketOptions {
  readonly clock: Pick<Clock, 'after'>;
  readonly logger: Logger;
  readonly address: string;
  /** Called when the socket is closed, before its handlers. */
  readonly onClose: () => void;
}

/**
 * The client's end of a socket within a process. What either side sends is delivered in a microtask, in order. A client
 * that reads answers pings and close frames by itself.
 */
export class MemoryDevice {
  readonly subprotocol: string;
  /** Received messages, until `onMessage` is replaced. */
  readonly messages: (string | Buffer)[] = [];
  onMessage: (data: string | Buffer) => void = (data) => void this.messages.push(data);
  /** Called with each answer to a ping of this side. */
  onPong: () => void = () => {};
  /** Resolves with the close frame of the other side, or with 1006. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  readonly #resolve: (close: { readonly code: number; readonly reason: string }) => void;
  readonly #socket: MemorySocket;
  readonly #received: Frame[] = [];
  #isOpen = true;
  #isLost = false;
  #isReading = true;
  #isScheduled = false;

  /** Opens the socket on the side of the server. */
  constructor(accepted: AcceptedUpgrade, offered: readonly string[], options: MemorySocketOptions) {
    const { promise, resolve } = Promise.withResolvers<{ readonly code: number; readonly reason: string }>();
    this.closed = promise;
    this.#resolve = resolve;
    this.subprotocol = accepted.server.subprotocols.find((each) => offered.includes(each)) ?? '';
    this.#socket = new MemorySocket(this, accepted, options);
    this.#socket.start(accepted.open);
  }

  /** Sends messages, which the other side receives at once, as one chunk of bytes. */
  send(...messages: readonly (string | Uint8Array)[]): void {
    this.#send(
      messages.map((data) => ({ type: 'message', data: typeof data === 'string' ? data : Buffer.from(data) })),
    );
  }

  ping(): void {
    this.#send([{ type: 'ping' }]);
  }

  /** Sends a close frame; without a code the other side sees 1005. */
  close(code = noCode): void {
    this.#send([{ type: 'close', code, reason: '' }]);
    this.#isOpen = false;
  }

  /** The connection is lost. The other side notices it, even if its reading is paused. */
  abort(): void {
    this.lost();
    this.#socket.lost();
  }

  /** From now on what the other side sends waits in its process. */
  stopReading(): void {
    this.#isReading = false;
  }

  startReading(): void {
    this.#isReading = true;
    this.#schedule();
  }

  /** Called by the other side. */
  take(frames: readonly Frame[]): void {
    if (this.#isLost) return;
    this.#received.push(...frames);
    this.#schedule();
  }

  /** Called by the other side when it has disconnected. */
  lost(): void {
    this.#isLost = true;
    this.#isOpen = false;
    this.#received.length = 0;
    this.#resolve({ code: lostCode, reason: '' });
  }

  /** Of messages that this side has not read. */
  get waitingBytes(): number {
    return bytesOf(this.#received);
  }

  #send(frames: readonly Frame[]): void {
    if (this.#isOpen) this.#socket.take(frames);
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      while (this.#isReading && this.#received.length > 0) this.#process(this.#received.shift()!);
    });
  }

  #process(frame: Frame): void {
    if (frame.type === 'message') this.onMessage(frame.data);
    else if (frame.type === 'ping') this.#send([{ type: 'pong' }]);
    else if (frame.type === 'pong') this.onPong();
    else {
      this.#send([frame]);
      this.#isOpen = false;
      this.#resolve({ code: frame.code, reason: frame.reason });
    }
  }
}

/** - `open`. - `closing`: a close frame is sent, by this side or as an answer. - `closed`: `closed` was called. */
type State = 'open' | 'closing' | 'closed';

/** The server's end. */
class MemorySocket implements DeviceSocket {
  readonly address: string;
  readonly certificate: ClientCertificate | undefined;
  readonly #device: MemoryDevice;
  readonly #messageBytesMax: number;
  readonly #options: MemorySocketOptions;
  /** What the client has sent at once is one element. */
  readonly #received: (readonly Frame[])[] = [];
  /** Collected while corked. */
  readonly #corked: Frame[] = [];
  #corks = 0;
  #handlers: DeviceSocketHandlers | undefined;
  #state: State = 'open';
  #closeCode: number | undefined;
  #closeTimer: Timer | undefined;
  #isPaused = false;
  #isLost = false;
  #isScheduled = false;

  constructor(device: MemoryDevice, { server, certificate }: AcceptedUpgrade, options: MemorySocketOptions) {
    this.#device = device;
    this.#messageBytesMax = server.messageBytesMax;
    this.certificate = certificate;
    this.#options = options;
    this.address = options.address;
  }

  start(open: AcceptedUpgrade['open']): void {
    this.#guard(() => {
      this.#handlers = open(this);
    });
  }

  get subprotocol(): string {
    return this.#device.subprotocol;
  }

  get bufferedBytes(): number {
    return this.#device.waitingBytes + bytesOf(this.#corked);
  }

  send(data: string | Uint8Array): void {
    this.#send({ type: 'message', data: typeof data === 'string' ? data : Buffer.from(data) });
  }

  cork(): void {
    this.#corks++;
  }

  uncork(): void {
    if (--this.#corks === 0) this.#device.take(this.#corked.splice(0));
  }

  ping(): void {
    this.#send({ type: 'ping' });
  }

  pause(): void {
    if (this.#state === 'open') this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#schedule();
  }

  close(code: number, reason: string): void {
    if (this.#state !== 'open') return;
    this.#send({ type: 'close', code, reason: closeReason(reason) });
    this.#startClose(code);
    this.#closeTimer = this.#options.clock.after(closeDeadlineMs, () => this.terminate());
    this.resume();
  }

  terminate(): void {
    if (this.#state === 'closed') return;
    this.#startClose(lostCode);
    this.#device.lost();
    this.lost();
  }

  authenticated(): void {}

  /** Called by the client. */
  take(frames: readonly Frame[]): void {
    if (this.#isLost) return;
    this.#received.push(frames);
    this.#schedule();
  }

  /** Called when the connection is lost. */
  lost(): void {
    this.#isLost = true;
    this.#received.length = 0;
    this.#schedule();
  }

  #send(frame: Frame): void {
    if (this.#state !== 'open') return;
    if (this.#corks > 0) this.#corked.push(frame);
    else this.#device.take([frame]);
  }

  #startClose(code: number): void {
    this.#state = 'closing';
    this.#closeCode ??= code;
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      if (this.#isLost) this.#finish();
      // A pause does not stop the rest of a chunk.
      while (!this.#isPaused && this.#received.length > 0)
        for (const frame of this.#received.shift()!) this.#process(frame);
    });
  }

  #process(frame: Frame): void {
    if (frame.type === 'close') {
      // An answer, unless this side has sent one.
      this.#send(frame);
      this.#startClose(frame.code);
      this.#finish();
    } else if (this.#state === 'open') this.#guard(() => this.#deliver(frame));
  }

  #deliver(frame: Exclude<Frame, { readonly type: 'close' }>): void {
    if (frame.type === 'pong') this.#handlers?.pong();
    else if (frame.type === 'ping') {
      this.#send({ type: 'pong' });
      this.#handlers?.ping();
    } else {
      const data = Buffer.from(frame.data as string);
      if (data.length > this.#messageBytesMax) this.close(tooLargeCode, '');
      else this.#handlers?.message(data, typeof frame.data !== 'string');
    }
  }

  #finish(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#closeTimer?.cancel();
    this.#options.onClose();
    this.#guard(() => this.#handlers?.closed(this.#closeCode ?? lostCode));
  }

  #guard(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#options.logger.error({ error }, 'an event of a device socket could not be handled');
      this.close(internalErrorCode, 'internal error');
    }
  }
}
