import type { ControlContext } from '../control-context.ts';
import type { Api } from '../http/api.ts';
import { fleetLimits } from './fleet-command.ts';
import { fleetBodyOf, registerFleetRoutes } from './fleet-routes.ts';
import { type FleetCommands, FleetRunner } from './fleet-runner.ts';
import { FleetService } from './fleet-service.ts';
import { FleetWatch, watchersMax } from './fleet-watch.ts';

export interface FleetsOptions {
  readonly context: ControlContext;
  /** `CommandService` has these. */
  readonly commands: FleetCommands;
  /** Whether a command of a device needs the confirmation of a second person. */
  readonly isMarked: (device: string, name: string) => boolean;
  /** Devices of one fleet command. */
  readonly devicesMax: number;
  /** How long final ones are kept, ms. */
  readonly retentionMs: number;
}

/** The fleet commands of one process of control. */
export class Fleets {
  readonly service: FleetService;
  readonly #runner: FleetRunner;
  readonly #watch: FleetWatch;

  constructor({ context, commands, isMarked, devicesMax, retentionMs }: FleetsOptions) {
    const { metrics, database, clock } = context;
    this.#runner = new FleetRunner({ context, commands, retentionMs });
    this.service = new FleetService({ context, isMarked, devicesMax, onDue: () => this.#runner.wake() });
    this.#watch = new FleetWatch({ database, clock, dataOf: fleetBodyOf });
    metrics.gauge(
      'tailrace_control_open_fleet_commands',
      'Fleet commands that are not final, at the last check.',
      () => this.#runner.open,
    );
    metrics.gauge(
      'tailrace_control_limit_open_fleet_commands',
      'Beyond it new ones are refused.',
      () => fleetLimits.openMax,
    );
    metrics.gauge('tailrace_control_fleet_watchers', 'Clients that watch fleet commands.', () => this.#watch.size);
    metrics.gauge('tailrace_control_limit_fleet_watchers', 'Beyond it new ones are refused.', () => watchersMax);
  }

  registerRoutes(api: Api): void {
    registerFleetRoutes(api, this.service, this.#watch);
  }

  start(): void {
    this.#runner.start();
  }

  /** Stops the streams of watchers, which another process serves. */
  async drain(): Promise<void> {
    await this.#watch.stop();
  }

  async stop(): Promise<void> {
    await this.#watch.stop();
    await this.#runner.stop();
  }
}
