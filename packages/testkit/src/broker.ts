import { TailraceError } from '@tailrace/protocol/error';
import type { Environment, Rung } from './ladder.ts';

/** What a Kafka and a NATS server to test with have in common. */
export interface Broker {
  /** Where it came from. */
  readonly rung: Rung;
  /** Of its process, where it is one of this machine; changes on `restart`. */
  readonly pid: number | undefined;
  /** Ends it and removes what it wrote (unless `dataDir` was given). Leaves a broker of the environment alone. Idempotent. */
  stop(): Promise<void>;
  /** Ends it by a signal, SIGKILL unless told otherwise, and keeps its data for `restart`. Resolves when it is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Kills it if it runs and starts it again on the same data and the same port. Resolves when it serves. */
  restart(): Promise<void>;
  /**
   * SIGSTOP pauses it, SIGCONT lets it go on. A local process stands still when this resolves, a container soon after.
   */
  signal(signal: NodeJS.Signals): Promise<void>;
}

/** A broker of the environment belongs to somebody else: `kill`, `restart` and `signal` of it reject with `forbidden`. */
export interface BrokerOptions {
  /** Where its data stays. Default: a temporary folder, removed at the end. A container keeps its data in itself, until `stop`. */
  dataDir?: string;
  /** On 127.0.0.1. Default: a free one. Means nothing to a broker of the environment. */
  port?: number;
  /** A file that gets what the broker logs. Default: one that is removed with the data. */
  log?: string;
  /** Default: that of this process. testcontainers itself always reads that of the process. */
  env?: Environment;
}

/** The part of a broker of the environment that says no. */
export function belongsToOthers(name: string, variable: string): Broker {
  const refuse = (what: string) => async () => {
    throw new TailraceError(
      'forbidden',
      `this ${name} comes from ${variable} and belongs to somebody else; to ${what} it, unset the variable and let the test start its own`,
    );
  };
  return {
    rung: 'environment',
    pid: undefined,
    stop: async () => {},
    kill: refuse('kill'),
    restart: refuse('restart'),
    signal: refuse('signal'),
  };
}
