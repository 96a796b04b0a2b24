import type { Database } from '@tailrace/database/database';
import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Metrics } from '@tailrace/platform/metrics';
import { registryLimits } from './registry/device.ts';
import { sceneLimits } from './scenes/scene.ts';
import { activeRunsMax } from './scenes/scenes.ts';
import { scheduleLimits } from './schedules/schedule.ts';
import { triggerLimits } from './triggers/trigger.ts';

/** Between two counts of the rows, ms. */
const countMs = 30_000;

const countSql = `SELECT (SELECT count(*) FROM registry_devices) AS devices, (SELECT count(*) FROM registry_groups) AS groups,
  (SELECT count(*) FROM scenes) AS scenes, (SELECT count(*) FROM schedules) AS schedules,
  (SELECT count(*) FROM triggers) AS triggers,
  (SELECT count(*) FROM scene_runs WHERE NOT is_final) AS runs`;

type Counts = Readonly<Record<'devices' | 'groups' | 'scenes' | 'schedules' | 'triggers' | 'runs', number>>;

const rows = [
  ['devices', 'registry_devices', 'Devices of the registry', registryLimits.devicesMax],
  ['groups', 'device_groups', 'Groups of devices', registryLimits.groupsMax],
  ['scenes', 'scenes', 'Scenes', sceneLimits.scenesMax],
  ['schedules', 'schedules', 'Schedules', scheduleLimits.schedulesMax],
  ['triggers', 'triggers', 'Triggers', triggerLimits.triggersMax],
  ['runs', 'active_runs', 'Runs of scenes that are not final', activeRunsMax],
] as const;

/** Counts what registry, scenes, schedules and triggers have in the store, beside their limits. */
export class AutomationMetrics {
  readonly #database: Pick<Database, 'query'>;
  readonly #clock: Clock;
  #counts: Counts | undefined;
  #timer: Timer | undefined;

  constructor(metrics: Metrics, database: Pick<Database, 'query'>, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
    for (const [row, name, help, limit] of rows) {
      metrics.gauge(`tailrace_control_${name}`, `${help}, at the last count.`, () => this.#counts?.[row] ?? Number.NaN);
      metrics.gauge(`tailrace_control_limit_${name}`, 'Beyond it new ones are refused.', () => limit);
    }
  }

  start(): void {
    this.#timer = this.#clock.every(countMs, () => void this.#count());
    void this.#count();
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** Never rejects. */
  async #count(): Promise<void> {
    try {
      this.#counts = (await this.#database.query<Counts>(countSql)).rows[0];
    } catch {
      // An old number would hide that the store is away.
      this.#counts = undefined;
    }
  }
}
