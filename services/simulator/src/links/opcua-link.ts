import { Worker } from 'node:worker_threads';
import type { PublisherStats } from '@tailrace/client/publish';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Report } from '@tailrace/protocol/report';
import type { FromOpcuaServer, MachineValues, OpcuaServerData, ToOpcuaServer } from '../opcua/opcua-messages.ts';
import { plantMachines } from '../opcua/plant-nodes.ts';
import { commandOfWrite, type PlantCommand } from '../plant/command.ts';
import { noStats, type PlantLink } from './plant-link.ts';

export interface OpcuaLinkOptions extends OpcuaServerData {
  /** As `Plant.command`. */
  command(device: string, command: PlantCommand): void;
  /** The server has failed after its start. */
  readonly onFailed: (error: unknown) => void;
}

/** Serves machines as variables of an OPC UA server, for an edge gateway. A write is a command. */
export class OpcuaLink implements PlantLink {
  readonly devices: readonly string[] = plantMachines.map(({ device }) => device);
  readonly #options: OpcuaLinkOptions;
  readonly #devices: ReadonlySet<string>;
  #worker: Worker | undefined;
  #isListening = false;

  constructor(options: OpcuaLinkOptions) {
    this.#options = options;
    this.#devices = new Set(this.devices);
  }

  /** Resolves when the server listens, after a second or two. Rejects with `unavailable`. */
  start(): Promise<void> {
    const { host, port, pkiPath, onFailed } = this.#options;
    const worker = new Worker(new URL('../opcua/opcua-server.ts', import.meta.url), {
      workerData: { host, port, pkiPath } satisfies OpcuaServerData,
    });
    this.#worker = worker;
    return new Promise((resolve, reject) => {
      const fail = (reason: string, cause?: unknown) => {
        const text = `the OPC UA server of the plant, opcuaPort ${port}: ${reason}`;
        const error = new TailraceError('unavailable', text, { cause });
        if (this.#isListening) onFailed(error);
        else reject(error);
      };
      worker.on('error', (error) => {
        const isMissing = (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND';
        const advice = 'its npm packages are not installed, as in an image: expected opcuaPort 0';
        fail(isMissing ? advice : error.message, error);
      });
      worker.on('message', (message: FromOpcuaServer) => {
        if ('write' in message) this.#obey(message);
        else if ('failed' in message) fail(message.failed);
        else {
          this.#isListening = true;
          resolve();
        }
      });
    });
  }

  publish(reports: readonly Report[], isLinked: (device: string) => boolean): void {
    const values = reports.flatMap(({ device, time, readings }): MachineValues[] =>
      this.#devices.has(device) ? [{ device, timeMs: time, isConnected: isLinked(device), readings }] : [],
    );
    if (values.length > 0) this.#send({ values });
  }

  async drain(): Promise<void> {}

  async stop(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    worker?.removeAllListeners('error');
    await worker?.terminate();
  }

  stats(): PublisherStats {
    return noStats;
  }

  #obey({ write, device, tag, value }: Extract<FromOpcuaServer, { write: number }>): void {
    let error: string | undefined;
    try {
      this.#options.command(device, commandOfWrite(tag, value));
    } catch (thrown) {
      error = tailraceErrorFrom(thrown).message;
    }
    this.#send({ written: write, error });
  }

  #send(message: ToOpcuaServer): void {
    this.#worker?.postMessage(message);
  }
}
