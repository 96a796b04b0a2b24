/** The server side of a socket. */
export interface TestPeer {
  onText(text: string): void;
  onClose(): void;
}

/** The network of the sockets. */
export interface TestNetwork {
  /** Returns the peer of a new connection; undefined: it is refused. */
  accept(socket: TestSocket): TestPeer | undefined;
  /** Runs in a later microtask, in the order of the calls, since a network is asynchronous. */
  later(call: () => void): void;
}

/** A WebSocket between a client and a test server in one process. */
export class TestSocket {
  readonly url: string;
  readonly #network: TestNetwork;
  readonly #listeners = new Map<string, ((event: never) => void)[]>();
  #peer: TestPeer | undefined;
  #isClosed = false;

  constructor(url: string, network: TestNetwork) {
    this.url = url;
    this.#network = network;
    network.later(() => {
      if (this.#isClosed) return;
      this.#peer = network.accept(this);
      if (this.#peer === undefined) this.#close(1006, '');
    });
  }

  addEventListener(type: string, listener: (event: never) => void): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }

  send(text: string): void {
    const peer = this.#peer;
    if (!this.#isClosed && peer !== undefined) this.#network.later(() => peer.onText(text));
  }

  /** Closes the connection, called by the client. */
  close(code = 1005, reason = ''): void {
    this.#network.later(() => {
      this.#peer?.onClose();
      this.#close(code, reason);
    });
  }

  /** Completes the handshake, called by the server. */
  open(): void {
    this.#network.later(() => this.#emit('open', {}));
  }

  /** Sends a message to the client, called by the server. */
  deliver(text: string): void {
    this.#network.later(() => {
      if (!this.#isClosed) this.#emit('message', { data: text });
    });
  }

  /** Closes the connection, called by the server or the network. */
  disconnect(code: number, reason: string): void {
    this.#network.later(() => this.#close(code, reason));
  }

  #close(code: number, reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#emit('close', { code, reason });
  }

  #emit(type: string, event: object): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event as never);
  }
}
