import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Bus } from '@tailrace/bus/bus';
import { outcomeSubject } from '@tailrace/protocol/command-subject';
import { type CommandOutcome, decodeCommandRequest, encodeCommandOutcome } from '@tailrace/protocol/device-command';
import { type ErrorCode, TailraceError } from '@tailrace/protocol/error';

interface Line {
  readonly reply?: CommandOutcome;
  readonly outcome?: CommandOutcome;
  readonly error?: { readonly code: ErrorCode; readonly message: string; readonly retryable: boolean };
}

interface Waiting {
  resolve(parts: readonly Uint8Array[]): void;
  reject(error: TailraceError): void;
}

/** Connects to the socket for commands of `make demo`. It serves a `CommandClient` as a bus does. */
export async function connectCommandSocket(
  path: string,
): Promise<{ bus: Pick<Bus, 'request' | 'subscribe'>; close(): Promise<void> }> {
  const socket = await connected(path);
  /** Requests in order: the socket answers one after the other. */
  const waiting: Waiting[] = [];
  let onOutcome: (payload: Uint8Array, subject: string) => void = () => undefined;
  createInterface({ input: socket }).on('line', (text) => {
    const { reply, outcome, error } = JSON.parse(text) as Line;
    if (outcome !== undefined) onOutcome(encodeCommandOutcome(outcome), outcomeSubject(outcome.device));
    else if (reply !== undefined) waiting.shift()?.resolve([encodeCommandOutcome(reply)]);
    else if (error !== undefined) waiting.shift()?.reject(new TailraceError(error.code, error.message));
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    for (const { reject } of waiting.splice(0)) reject(new TailraceError('unavailable', 'the connection was lost'));
  });
  return {
    bus: {
      request: (_subject, payload) =>
        new Promise((resolve, reject) => {
          waiting.push({ resolve, reject });
          socket.write(`${JSON.stringify(decodeCommandRequest(payload))}\n`);
        }),
      subscribe(_pattern, onMessage) {
        onOutcome = onMessage;
        return Promise.resolve({ stop: () => Promise.resolve() });
      },
    },
    close: () => new Promise((resolve) => void socket.end(resolve)),
  };
}

function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => resolve(socket));
    socket.once('error', (cause) =>
      reject(new TailraceError('unavailable', `cannot connect to the socket for commands at ${path}`, { cause })),
    );
  });
}
