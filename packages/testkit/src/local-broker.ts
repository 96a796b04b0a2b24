import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isTailraceError, TailraceError } from '@tailrace/protocol/error';
import type { Broker, BrokerOptions } from './broker.ts';
import { freePorts, isFreePort } from './free-port.ts';
import { untilStandsStill } from './process.ts';
import { type Supervised, textOf } from './supervised.ts';
import { createTempDir } from './tempdir.ts';

const portTriesMax = 3;
const pollMs = 10;

/** What the start of a process is given. */
export interface Place {
  /** As many as asked for; the first is that of the clients. The same after a restart. */
  readonly ports: readonly number[];
  readonly dataDir: string;
  /** For settings and the like; removed with the broker, also if we are killed. */
  readonly tempDir: string;
  readonly logFile: string;
}

export interface LocalBrokerSpec {
  /** For messages. */
  name: string;
  options: BrokerOptions;
  portCount: number;
  startDeadlineMs: number;
  stopDeadlineMs: number;
  /** Starts the process, and does not wait until it serves. */
  launch(place: Place): Promise<Supervised>;
  /** What its log has when it listens: an answer alone could come from another server that has the port. */
  started: RegExp;
  /** Whether it serves. May reject for no. */
  answers(port: number): Promise<boolean>;
}

export interface LocalBroker extends Broker {
  readonly port: number;
  /** As in `Place`. */
  readonly ports: readonly number[];
}

/**
 * A broker as a process of this machine: resolves when it answers; when it cannot start, nothing is left and the error
 * has the end of its log.
 */
export async function startLocalBroker(spec: LocalBrokerSpec): Promise<LocalBroker> {
  const { options } = spec;
  const temp = await createTempDir(spec.name.toLowerCase());
  const dataDir = options.dataDir ?? join(temp.path, 'data');
  const placeOn = (ports: readonly number[]): Place => ({
    ports,
    dataDir,
    tempDir: temp.path,
    logFile: options.log ?? join(temp.path, 'log'),
  });
  let place: Place;
  let running: Supervised;
  let isStopped = false;
  try {
    await mkdir(dataDir, { recursive: true });
    for (let tries = 1; ; tries++) {
      const ports = await freePorts(spec.portCount);
      place = placeOn(options.port === undefined ? ports : [options.port, ...ports.slice(1)]);
      try {
        running = await startAndWait(spec, place);
        break;
      } catch (error) {
        // Somebody took a port between our look and the broker's.
        const isOtherWorthTrying =
          isTailraceError(error) && error.code === 'address_in_use' && options.port === undefined;
        if (!isOtherWorthTrying || tries === portTriesMax) throw error;
      }
    }
  } catch (error) {
    await temp.remove();
    throw error;
  }
  const end = async (signal: NodeJS.Signals) => {
    await running.stop({ signal, deadlineMs: spec.stopDeadlineMs });
  };
  return {
    rung: 'local',
    port: place.ports[0]!,
    ports: place.ports,
    get pid() {
      return running.pid;
    },
    async signal(signal) {
      running.signal(signal);
      if (signal === 'SIGSTOP') await untilStandsStill(running.pid);
    },
    kill: (signal = 'SIGKILL') => end(signal),
    async restart() {
      if (isStopped)
        throw new TailraceError('closed', `${spec.name} was stopped and its data removed; start a new one`);
      await end('SIGKILL');
      running = await startAndWait(spec, place);
    },
    async stop() {
      isStopped = true;
      // Data that is thrown away needs no orderly end.
      await end(options.dataDir === undefined ? 'SIGKILL' : 'SIGTERM');
      await temp.remove();
    },
  };
}

async function startAndWait(spec: LocalBrokerSpec, place: Place): Promise<Supervised> {
  const port = place.ports[0]!;
  for (const taken of place.ports) {
    // The broker would find out by itself, some of them after seconds.
    if (!(await isFreePort(taken))) throw portTaken(spec.name, [taken]);
  }
  const logStart = await sizeOf(place.logFile);
  const running = await spec.launch(place);
  const giveUpAt = performance.now() + spec.startDeadlineMs;
  while (running.exit() === undefined) {
    const hasStarted = spec.started.test(await textOf(place.logFile, logStart));
    if (hasStarted && (await spec.answers(port).catch(() => false))) return running;
    if (performance.now() > giveUpAt) {
      await running.stop({ signal: 'SIGKILL' });
      const log = await textOf(place.logFile, logStart);
      throw new TailraceError(
        'timeout',
        `${spec.name} does not answer on 127.0.0.1:${port} within ${spec.startDeadlineMs} ms. Its log ends:\n${log}`,
      );
    }
    await sleep(pollMs);
  }
  const log = await textOf(place.logFile, logStart);
  if (/address already in use/i.test(log)) {
    throw portTaken(spec.name, place.ports);
  }
  throw new TailraceError(
    'internal',
    `${spec.name} ended while starting (code ${running.exit()?.code}). Its log ends:\n${log}`,
  );
}

function portTaken(name: string, ports: readonly number[]): TailraceError {
  const which = ports.join(' or ');
  return new TailraceError(
    'address_in_use',
    `${name} cannot start: another process has port ${which} of 127.0.0.1; end it or choose another port`,
  );
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch {
    return 0;
  }
}
