import type { OpenStream, StreamHandlers } from '../src/modbus/byte-stream.ts';
import type { Framing } from '../src/modbus/frame.ts';
import { tcpFraming } from '../src/modbus/tcp-frame.ts';

export interface DeviceRequest {
  readonly transaction: number;
  readonly unit: number;
  readonly pdu: Uint8Array;
}

/** A reply as PDU, an exception code, or nothing. */
export type Answer = Uint8Array | number | undefined;

/** A Modbus device in memory: it answers at once, in the way of its fields, which a test changes. */
export class MemoryDevice {
  readonly requests: DeviceRequest[] = [];
  /** Of every unit. */
  readonly registers = new Uint16Array(65_536);
  readonly coils = new Uint8Array(65_536);
  connections = 0;
  /** Overrides the answer. `pass`: the answer of the tables. */
  answer: (request: DeviceRequest, pass: () => Answer) => Answer = (_request, pass) => pass();
  /** Whether connections are refused. */
  isRefusing = false;
  readonly #framing: Framing;
  #handlers: StreamHandlers | undefined;

  constructor(framing: Framing = tcpFraming) {
    this.#framing = framing;
  }

  readonly openStream: OpenStream = (handlers) => {
    if (this.isRefusing) {
      queueMicrotask(() => handlers.closed('refused'));
      return { write: () => {}, destroy: () => {} };
    }
    this.connections++;
    this.#handlers = handlers;
    let isOpen = true;
    queueMicrotask(() => {
      if (isOpen) handlers.opened();
    });
    return {
      write: (bytes) => this.#take(bytes),
      destroy: () => {
        isOpen = false;
        if (this.#handlers === handlers) this.#handlers = undefined;
      },
    };
  };

  /** Sends a reply, also a late or a wrong one. */
  send(transaction: number, unit: number, pdu: Uint8Array): void {
    this.sendBytes(this.#framing.encode(transaction, unit, pdu));
  }

  sendBytes(bytes: Uint8Array): void {
    this.#handlers?.received(bytes);
  }

  disconnect(): void {
    const handlers = this.#handlers;
    this.#handlers = undefined;
    handlers?.closed('closed by the device');
  }

  /** The answer of the tables to a request. */
  tablesAnswer({ pdu }: DeviceRequest): Answer {
    const code = pdu[0]!;
    const address = (pdu[1]! << 8) | pdu[2]!;
    const word = (pdu[3]! << 8) | pdu[4]!;
    if (code === 3 || code === 4) {
      const reply = Buffer.alloc(2 + 2 * word);
      reply[0] = code;
      reply[1] = 2 * word;
      for (let at = 0; at < word; at++) reply.writeUInt16BE(this.registers[address + at]!, 2 + 2 * at);
      return reply;
    }
    if (code === 1 || code === 2) {
      const reply = Buffer.alloc(2 + Math.ceil(word / 8));
      reply[0] = code;
      reply[1] = reply.length - 2;
      for (let at = 0; at < word; at++) reply[2 + (at >> 3)]! |= this.coils[address + at]! << (at & 7);
      return reply;
    }
    if (code === 5) this.coils[address] = word === 0 ? 0 : 1;
    else if (code === 6) this.registers[address] = word;
    else if (code === 15)
      for (let at = 0; at < word; at++) this.coils[address + at] = (pdu[6 + (at >> 3)]! >> (at & 7)) & 1;
    else if (code === 16) {
      for (let at = 0; at < word; at++) this.registers[address + at] = (pdu[6 + 2 * at]! << 8) | pdu[7 + 2 * at]!;
    } else return 1;
    return pdu.slice(0, 5);
  }

  #take(bytes: Uint8Array): void {
    // A client writes each request at once.
    const isTcp = this.#framing.hasTransactions;
    const request = isTcp
      ? { transaction: (bytes[0]! << 8) | bytes[1]!, unit: bytes[6]!, pdu: bytes.slice(7) }
      : { transaction: 0, unit: bytes[0]!, pdu: bytes.slice(1, -2) };
    this.requests.push(request);
    const answer = this.answer(request, () => this.tablesAnswer(request));
    if (answer === undefined) return;
    const reply = typeof answer === 'number' ? new Uint8Array([request.pdu[0]! | 0x80, answer]) : answer;
    queueMicrotask(() => this.send(request.transaction, request.unit, reply));
  }
}
