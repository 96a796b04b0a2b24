import { chmod, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import type { Bus, BusSubscription } from '@tailrace/bus/bus';
import type { Logger } from '@tailrace/platform/logger';
import { anyCommandSubject, outcomePattern } from '@tailrace/protocol/command-subject';
import {
  type CommandOutcome,
  type CommandRequest,
  decodeCommandOutcome,
  encodeCommandRequest,
} from '@tailrace/protocol/device-command';
import { deviceCommandFromJson } from '@tailrace/protocol/device-command-json';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { isObject } from '@tailrace/protocol/reading';

const lineBytesMax = 16_384;
const connectionsMax = 16;
/** Commands of one connection whose outcomes are sent to it, the newest ones. */
const commandsMax = 1_000;
const requestMs = 2_000;

export interface CommandSocketOptions {
  /** Of the socket, which only the user of this process may open. */
  readonly path: string;
  readonly bus: Pick<Bus, 'request' | 'subscribe'>;
  readonly logger: Logger;
}

/**
 * A socket of the file system for requesters of commands: a bus in memory cannot be reached from another process. Each
 * line is a JSON object: `{"command":{…}}`, `{"query":{"id","device"}}` or `{"cancel":{"id","device"}}`. The answers
 * are lines, too: `{"reply":{…}}` or `{"error":{…}}` to each line, in their order, and `{"outcome":{…}}` for each later
 * state of the command.
 */
export class CommandSocket {
  readonly #options: CommandSocketOptions;
  readonly #connections = new Set<Connection>();
  #server: Server | undefined;
  #subscription: BusSubscription | undefined;

  constructor(options: CommandSocketOptions) {
    this.#options = options;
  }

  /** Continues without the socket, with a warning, where the system refuses it: a path has at most about 100 bytes. */
  async start(): Promise<void> {
    const { path, logger } = this.#options;
    try {
      await this.#listen(path);
    } catch (error) {
      logger.warn({ error, path }, 'commands cannot be sent from other processes: the socket cannot be opened');
      return;
    }
    await this.#subscribe();
  }

  async #listen(path: string): Promise<void> {
    // Of a process that was killed.
    await rm(path, { force: true });
    const server = createServer((socket) => this.#open(socket));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    await chmod(path, 0o600);
  }

  async #subscribe(): Promise<void> {
    this.#subscription = await this.#options.bus.subscribe(outcomePattern, (payload) => {
      const outcome = decodeCommandOutcome(payload);
      for (const connection of this.#connections) connection.onOutcome(outcome);
    });
  }

  /** Closes the connections and removes the socket. Idempotent. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await this.#subscription?.stop();
    for (const connection of this.#connections) connection.close();
    if (server !== undefined) await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  #open(socket: Socket): void {
    // Errors of the connection are followed by `close`.
    socket.on('error', () => undefined);
    if (this.#connections.size >= connectionsMax) {
      socket.end(
        `${errorLine(new TailraceError('limit_reached', `expected at most ${connectionsMax} connections`))}\n`,
      );
      return;
    }
    const connection = new Connection(socket, this.#options.bus);
    this.#connections.add(connection);
    socket.on('close', () => this.#connections.delete(connection));
  }
}

class Connection {
  readonly #socket: Socket;
  readonly #bus: Pick<Bus, 'request'>;
  readonly #ids = new Set<string>();
  #rest = '';
  /** Lines are answered one after the other. */
  #answered: Promise<void> = Promise.resolve();

  constructor(socket: Socket, bus: Pick<Bus, 'request'>) {
    this.#socket = socket;
    this.#bus = bus;
    socket.setEncoding('utf8');
    socket.on('data', (text) => this.#onData(text.toString()));
  }

  onOutcome(outcome: CommandOutcome): void {
    if (this.#ids.has(outcome.id)) this.#write(JSON.stringify({ outcome }));
  }

  close(): void {
    this.#socket.destroy();
  }

  #onData(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop()!;
    if (this.#rest.length > lineBytesMax || lines.some((line) => line.length > lineBytesMax)) {
      this.#write(errorLine(new TailraceError('too_large', `line: expected at most ${lineBytesMax} characters`)));
      this.#socket.end();
      return;
    }
    // Read on when these are answered.
    this.#socket.pause();
    this.#answered = this.#answered.then(async () => {
      for (const line of lines) if (line.trim() !== '') this.#write(await this.#answer(line));
      this.#socket.resume();
    });
  }

  /** Never rejects. */
  async #answer(line: string): Promise<string> {
    try {
      const request = requestFrom(line);
      if ('command' in request) this.#follow(request.command.id);
      const payload = encodeCommandRequest(request);
      const [reply] = await this.#bus.request(anyCommandSubject, payload, { deadlineMs: requestMs });
      return JSON.stringify({ reply: decodeCommandOutcome(reply!) });
    } catch (thrown) {
      return errorLine(tailraceErrorFrom(thrown));
    }
  }

  #follow(id: string): void {
    this.#ids.add(id);
    if (this.#ids.size <= commandsMax) return;
    const [oldest] = this.#ids;
    this.#ids.delete(oldest!);
  }

  #write(line: string): void {
    if (!this.#socket.destroyed) this.#socket.write(`${line}\n`);
  }
}

function errorLine({ code, message, retryable }: TailraceError): string {
  return JSON.stringify({ error: { code, message, retryable } });
}

/** Throws `invalid_message` and `invalid_path`. */
function requestFrom(line: string): CommandRequest {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new TailraceError('invalid_message', 'line: expected a JSON object', { cause });
  }
  const { command, query, cancel } = isObject(value) ? (value as Readonly<Record<string, unknown>>) : {};
  if (command !== undefined) return { command: deviceCommandFromJson(command) };
  const named = query ?? cancel;
  if (!isObject(named))
    throw new TailraceError('invalid_message', 'line: expected {"command":{…}}, {"query":{…}} or {"cancel":{…}}');
  const { id, device } = named as { id?: unknown; device?: unknown };
  const reference = { id: String(id), device: String(device) };
  return query === undefined ? { cancel: reference } : { query: reference };
}
