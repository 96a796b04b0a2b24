import { AutomationMetrics } from './automation-metrics.ts';
import type { ControlContext } from './control-context.ts';
import type { Api } from './http/api.ts';
import { registerCredentialRoutes } from './registry/credential-routes.ts';
import { CredentialService, type CredentialServiceOptions } from './registry/credential-service.ts';
import { DeviceSurvey } from './registry/device-survey.ts';
import type { FanoutOwners } from './registry/fanout-owners.ts';
import { Registry } from './registry/registry.ts';
import { registerRegistryRoutes } from './registry/registry-routes.ts';
import { RevokedAuthors, type RevokedAuthorsOptions } from './revoked-authors.ts';
import { FanoutLastValues } from './scenes/fanout-last-values.ts';
import type { PlanContext } from './scenes/plan.ts';
import { registerSceneRoutes } from './scenes/scene-routes.ts';
import { runnerTimes, type SceneCommands, SceneRunner } from './scenes/scene-runner.ts';
import { Scenes } from './scenes/scenes.ts';
import { registerScheduleRoutes } from './schedules/schedule-routes.ts';
import { ScheduleRunner } from './schedules/schedule-runner.ts';
import { Schedules } from './schedules/schedules.ts';
import { registerTriggerRoutes } from './triggers/trigger-routes.ts';
import { Triggers } from './triggers/triggers.ts';

export interface AutomationOptions {
  readonly context: ControlContext;
  /** `CommandService` has these. */
  readonly commands: SceneCommands;
  /** Whether a command of a device needs the confirmation of a second person. */
  readonly isMarked: PlanContext['isMarked'];
  /** Started and stopped by the caller. */
  readonly owners: FanoutOwners;
  /** What is known of tokens. */
  readonly tokens: Pick<CredentialServiceOptions, 'known'> & Pick<RevokedAuthorsOptions, 'revocations'>;
}

/** Registry, scenes, schedules and triggers of one process of control. */
export class Automation {
  readonly registry: Registry;
  readonly credentials: CredentialService;
  readonly scenes: Scenes;
  readonly schedules: Schedules;
  readonly triggers: Triggers;
  readonly #sceneRunner: SceneRunner;
  readonly #scheduleRunner: ScheduleRunner;
  readonly #survey: DeviceSurvey;
  readonly #revokedAuthors: RevokedAuthors;
  readonly #counts: AutomationMetrics;

  constructor({ context, commands, isMarked, owners, tokens }: AutomationOptions) {
    const { metrics, database, clock, logger, worker } = context;
    const lastValues = new FanoutLastValues(owners, runnerTimes.snapshotMs);
    this.registry = new Registry(context);
    this.credentials = new CredentialService({ context, ...tokens });
    this.#counts = new AutomationMetrics(metrics, database, clock);
    this.#survey = new DeviceSurvey({ database, registry: this.registry, owners, clock, logger, worker });
    this.scenes = new Scenes({ context, isMarked });
    this.schedules = new Schedules({ context, scenes: this.scenes });
    this.triggers = new Triggers({ context, scenes: this.scenes });
    this.#revokedAuthors = new RevokedAuthors({ context, revocations: tokens.revocations });
    this.#sceneRunner = new SceneRunner({ context, scenes: this.scenes, commands, lastValues });
    const late = metrics.histogram(
      'tailrace_control_schedule_late_seconds',
      'How late runs of schedules start.',
      [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 60],
    );
    const skipped = metrics.counters('tailrace_control_skipped_runs_total', 'Runs of schedules that were skipped.', {
      values: { reason: ['late', 'overlap'] },
    });
    this.#scheduleRunner = new ScheduleRunner({
      context,
      onStarted: (lateMs) => late.observe(lateMs / 1_000),
      onSkipped: (reason) => skipped.with({ reason }).add(),
    });
    metrics.gauge(
      'tailrace_control_working_runs',
      'Runs of scenes on which this process works.',
      () => this.#sceneRunner.active,
    );
  }

  /** Takes the devices that have reported up to now; it happens by itself within half a minute. Never rejects. */
  surveyNow(): Promise<void> {
    return this.#survey.surveyNow();
  }

  /** Takes the devices that fanout knows now. For tests: it happens by itself. */
  survey(): Promise<void> {
    return this.#survey.survey();
  }

  registerRoutes(api: Api): void {
    registerRegistryRoutes(api, this.registry);
    registerCredentialRoutes(api, this.credentials);
    registerSceneRoutes(api, this.scenes);
    registerScheduleRoutes(api, this.schedules);
    registerTriggerRoutes(api, this.triggers);
  }

  async start(): Promise<void> {
    await this.#sceneRunner.start();
    await this.#scheduleRunner.start();
    this.#survey.start();
    this.credentials.start();
    this.#revokedAuthors.start();
    this.#counts.start();
  }

  /** Starts nothing more, and waits for what is in progress. */
  async stop(): Promise<void> {
    this.#counts.stop();
    await this.#survey.stop();
    await this.credentials.stop();
    await this.#revokedAuthors.stop();
    await this.#scheduleRunner.stop();
    await this.#sceneRunner.stop();
  }
}
