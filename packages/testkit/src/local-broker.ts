import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isTailraceError, TailraceError } from '@tailrace/protocol/error';
import type { Broker, BrokerOptions } from './broker.ts';
import { freePorts, isFreePort } from './free-port.ts';
import { untilStopped } from './process.ts';
import { type Supervised, textOf } from './supervised.ts';
import { createTempDir } from './tempdir.ts';

const portTriesMax = 3;
const pollMs = 10;

/** Ports and paths of a broker process. */
export interface Place {
  /** `portCount` ports; the first is for clients. The same after a restart. */
  readonly ports: readonly number[];
  readonly dataDir: string;
  /** For settings files; removed with the broker, also if this process is killed. */
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
  /** For an orderly stop. Default: SIGTERM. */
  stopSignal?: NodeJS.Signals;
  /** Starts the process without waiting until it serves. */
  launch(place: Place): Promise<Supervised>;
  /** What it logs when it listens: a response alone could come from another server on the port. */
  started: RegExp;
  /** Returns whether it serves; may reject if it does not. */
  answers(port: number): Promise<boolean>;
}

export interface LocalBroker extends Broker {
  readonly port: number;
  /** As in `Place`. */
  readonly ports: readonly number[];
}

/**
 * Starts a broker as a local process. Resolves when it responds. If it cannot start, nothing is left and the error has
 * the last lines of its log.
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
        // Another process took a port between the check and the start of the broker.
        const mayRetry = isTailraceError(error) && error.code === 'address_in_use' && options.port === undefined;
        if (!mayRetry || tries === portTriesMax) throw error;
      }
    }
  } catch (error) {
    await temp.remove();
    throw error;
  }
  const stopProcess = async (signal: NodeJS.Signals) => {
    await running.stop({ signal, deadlineMs: spec.stopDeadlineMs });
  };
  return {
    source: 'local',
    port: place.ports[0]!,
    ports: place.ports,
    get pid() {
      return running.pid;
    },
    async signal(signal) {
      running.signal(signal);
      if (signal === 'SIGSTOP') await untilStopped(running.pid);
    },
    kill: (signal = 'SIGKILL') => stopProcess(signal),
    async restart() {
      if (isStopped)
        throw new TailraceError('closed', `${spec.name} was stopped and its data removed; start a new one`);
      await stopProcess('SIGKILL');
      running = await startAndWait(spec, place);
    },
    async stop() {
      isStopped = true;
      // Temporary data needs no orderly stop.
      await stopProcess(options.dataDir === undefined ? 'SIGKILL' : (spec.stopSignal ?? 'SIGTERM'));
      await temp.remove();
    },
  };
}

async function startAndWait(spec: LocalBrokerSpec, place: Place): Promise<Supervised> {
  const port = place.ports[0]!;
  for (const taken of place.ports) {
    // The broker would detect it itself, but maybe after seconds.
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
        `${spec.name} does not answer on 127.0.0.1:${port} within ${spec.startDeadlineMs} ms. The last lines of its log:\n${log}`,
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
    `${spec.name} exited while starting (code ${running.exit()?.code}). The last lines of its log:\n${log}`,
  );
}

function portTaken(name: string, ports: readonly number[]): TailraceError {
  const which = ports.join(' or ');
  return new TailraceError(
    'address_in_use',
    `${name} cannot start: another process has port ${which} of 127.0.0.1; stop it or choose another port`,
  );
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch {
    return 0;
  }
}
