/** What a server's end of a socket hears. */
export interface TestPeer {
  text(text: string): void;
  gone(): void;
}

/** Where the sockets connect to. */
export interface TestNetwork {
  /** A peer for a connection to the address, or nobody. */
  accept(socket: TestSocket): TestPeer | undefined;
  /** Runs in a later microtask, in the order of the calls: a network is never quicker than the code that waits for it. */
  later(call: () => void): void;
}

/** A WebSocket between a client and a server in one process. */
export class TestSocket {
  readonly url: string;
  readonly #network: TestNetwork;
  readonly #listeners = new Map<string, ((event: never) => void)[]>();
  #peer: TestPeer | undefined;
  #closed = false;

  constructor(url: string, network: TestNetwork) {
    this.url = url;
    this.#network = network;
    network.later(() => {
      if (this.#closed) return;
      this.#peer = network.accept(this);
      if (this.#peer === undefined) this.#end(1006, '');
    });
  }

  addEventListener(type: string, listener: (event: never) => void): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener]);
  }

  send(text: string): void {
    const peer = this.#peer;
    if (!this.#closed && peer !== undefined) this.#network.later(() => peer.text(text));
  }

  /** By the client. */
  close(code = 1005, reason = ''): void {
    this.#network.later(() => {
      this.#peer?.gone();
      this.#end(code, reason);
    });
  }

  /** By the server: the handshake is done. */
  open(): void {
    this.#network.later(() => this.#tell('open', {}));
  }

  /** By the server. */
  deliver(text: string): void {
    this.#network.later(() => {
      if (!this.#closed) this.#tell('message', { data: text });
    });
  }

  /** By the server, or by whatever is between. */
  cut(code: number, reason: string): void {
    this.#network.later(() => this.#end(code, reason));
  }

  #end(code: number, reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#tell('close', { code, reason });
  }

  #tell(type: string, event: object): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event as never);
  }
}
