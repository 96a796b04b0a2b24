import { type ServerMessage, serverMessageBytes, serverMessageJson } from '@tailrace/protocol/server-message';
import type { Encoding } from './view-options.ts';

/** One message for many clients: encoded once in each encoding that one of them has. */
export class SharedMessage {
  readonly #message: ServerMessage;
  #json: string | undefined;
  #bytes: Uint8Array | undefined;

  constructor(message: ServerMessage) {
    this.#message = message;
  }

  frame(encoding: Encoding): string | Uint8Array {
    if (encoding === 'json') {
      this.#json ??= serverMessageJson(this.#message);
      return this.#json;
    }
    this.#bytes ??= serverMessageBytes(this.#message);
    return this.#bytes;
  }
}
