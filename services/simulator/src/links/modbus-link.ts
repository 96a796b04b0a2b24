import type { PublisherStats } from '@tailrace/client/publish';
import type { Report } from '@tailrace/protocol/report';
import { ModbusServer } from '../modbus/modbus-server.ts';
import { ModbusUnit } from '../modbus/modbus-unit.ts';
import { plantUnits } from '../modbus/plant-units.ts';
import { commandOfWrite, type PlantCommand } from '../plant/command.ts';
import { noStats, type PlantLink } from './plant-link.ts';

export interface ModbusLinkOptions {
  readonly host: string;
  readonly port: number;
  /** As `Plant.command`. */
  command(device: string, command: PlantCommand): void;
}

/** Serves machines as units of a Modbus server, for an edge gateway that polls them. A write is a command. */
export class ModbusLink implements PlantLink {
  readonly devices: readonly string[];
  readonly #server: ModbusServer;
  readonly #units: ReadonlyMap<string, ModbusUnit>;

  constructor({ host, port, command }: ModbusLinkOptions) {
    const write = (device: string, tag: string, value: number | boolean) => command(device, commandOfWrite(tag, value));
    const units = plantUnits.map(({ unit, device, entries }) => ({ unit, of: new ModbusUnit(device, entries, write) }));
    this.#units = new Map(units.map(({ of }) => [of.device, of]));
    this.devices = [...this.#units.keys()];
    this.#server = new ModbusServer({ host, port, units: new Map(units.map(({ unit, of }) => [unit, of])) });
  }

  async start(): Promise<void> {
    await this.#server.listen();
  }

  publish(reports: readonly Report[], isLinked: (device: string) => boolean): void {
    for (const { device, readings } of reports) {
      const unit = this.#units.get(device);
      if (unit === undefined) continue;
      unit.take(readings);
      unit.isAnswering = isLinked(device);
    }
  }

  async drain(): Promise<void> {}

  stop(): Promise<void> {
    return this.#server.close();
  }

  /** Nothing waits: a client polls. */
  stats(): PublisherStats {
    return noStats;
  }
}
