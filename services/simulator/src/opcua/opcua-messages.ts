import type { Reading } from '@tailrace/protocol/report';

/** What the worker thread of the server starts with. */
export interface OpcuaServerData {
  readonly host: string;
  readonly port: number;
  /** Folder of the server's certificate and key. */
  readonly pkiPath: string;
}

/** To the worker thread. */
export type ToOpcuaServer =
  | { readonly values: readonly MachineValues[] }
  /** The outcome of a write: `error` is undefined where the machine has obeyed. */
  | { readonly written: number; readonly error: string | undefined };

export interface MachineValues {
  readonly device: string;
  readonly timeMs: number;
  /** One that is not connected has no current values: they are bad. */
  readonly isConnected: boolean;
  readonly readings: readonly Pick<Reading, 'tag' | 'value' | 'quality'>[];
}

/** From the worker thread. */
export type FromOpcuaServer =
  | { readonly listening: number }
  | { readonly failed: string }
  | { readonly write: number; readonly device: string; readonly tag: string; readonly value: number | boolean };
