import { TailraceError } from '@tailrace/protocol/error';
import type { BrokerSource, Environment } from './broker-source.ts';

/** A Kafka, NATS or MQTT server to test with. */
export interface Broker {
  /** Where it comes from. */
  readonly source: BrokerSource;
  /** Of its process; undefined unless it is a local process. Changes on `restart`. */
  readonly pid: number | undefined;
  /**
   * Stops it and removes its data, except in a given `dataDir`. Does nothing to a broker of the environment.
   * Idempotent.
   */
  stop(): Promise<void>;
  /** Stops it by a signal, by default SIGKILL, and keeps its data for `restart`. Resolves when it has exited. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Kills it if it runs, and starts it again with the same data and port. Resolves when it serves. */
  restart(): Promise<void>;
  /** SIGSTOP pauses it, SIGCONT resumes it. A local process is paused when this resolves, a container soon after. */
  signal(signal: NodeJS.Signals): Promise<void>;
}

/** `kill`, `restart` and `signal` of a broker of the environment reject with `forbidden`. */
export interface BrokerOptions {
  /**
   * Its data folder, which stays after `stop`. Default: a temporary one. A container keeps its data in itself until
   * `stop`.
   */
  dataDir?: string;
  /** On 127.0.0.1. Default: a free one. Ignored for a broker of the environment. */
  port?: number;
  /** The broker's log file. Default: one that is removed with the data. */
  log?: string;
  /** Default: that of this process, which testcontainers itself reads in any case. */
  env?: Environment;
}

/** Returns the methods of a broker of the environment, which refuse to control it. */
export function externalBroker(name: string, variable: string): Broker {
  const refuse = (what: string) => async () => {
    throw new TailraceError(
      'forbidden',
      `this ${name} of ${variable} was not started by the test; to ${what} it, unset the variable and let the test start its own`,
    );
  };
  return {
    source: 'environment',
    pid: undefined,
    stop: async () => {},
    kill: refuse('kill'),
    restart: refuse('restart'),
    signal: refuse('signal'),
  };
}
