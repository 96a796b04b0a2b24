import { type ServerMessage, serverMessageBytes, serverMessageJson } from '@tailrace/protocol/server-message';
import type { Encoding } from './view-options.ts';

/** A message to many clients: encoded once for each encoding in use. */
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
