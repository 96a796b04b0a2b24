import type { Database } from '@tailrace/database/database';
import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { tailraceErrorFrom } from '@tailrace/protocol/error';
import type { FanoutOwners } from './fanout-owners.ts';
import type { Registry } from './registry.ts';

/** Between two surveys of the installation, ms; until the first one of this process that has reached all nodes: */
const surveyMs = 30_000;
const firstSurveyMs = 1_000;
/** Deadline of the reply of a fanout node, ms. */
const replyMs = 2_000;

export interface DeviceSurveyOptions {
  readonly database: Pick<Database, 'query'>;
  readonly registry: Pick<Registry, 'takeReports'>;
  readonly owners: Pick<FanoutOwners, 'eachDevice'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Name of this process, unique in the installation. */
  readonly worker: string;
}

/**
 * Creates the devices that have reported, and notes their last reports. Every 30 s one process of the installation
 * requests the list of devices of the fanout nodes, a thousand at a time, and writes what has changed. So a report
 * costs control nothing: 100,000 devices are a hundred requests in half a minute.
 */
export class DeviceSurvey {
  readonly #options: DeviceSurveyOptions;
  #timer: Timer | undefined;
  #pass: Promise<void> | undefined;
  #now: Promise<void> | undefined;
  #hasSurveyed = false;
  #isStopped = false;
  /** Devices that surveys of this process have created. */
  created = 0;

  constructor(options: DeviceSurveyOptions) {
    this.#options = options;
  }

  start(): void {
    void this.survey();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#pass;
  }

  /**
   * Takes the devices that fanout knows now, in whichever process: a person refers to one that has just reported. Calls
   * at once share a survey. Resolves after it. Never rejects.
   */
  surveyNow(): Promise<void> {
    this.#now ??= this.#surveyAll().then(() => {
      this.#now = undefined;
    });
    return this.#now;
  }

  /** Starts a survey, unless one is in progress; the next one follows by itself. Resolves after it. Never rejects. */
  survey(): Promise<void> {
    this.#timer?.cancel();
    this.#pass ??= this.#survey().then((isComplete) => {
      this.#pass = undefined;
      this.#hasSurveyed ||= isComplete;
      const waitMs = this.#hasSurveyed ? surveyMs : firstSurveyMs;
      if (!this.#isStopped) this.#timer = this.#options.clock.after(waitMs, () => void this.survey());
    });
    return this.#pass;
  }

  /** Resolves with whether it has reached all nodes, or is none of this process. Never rejects. */
  async #survey(): Promise<boolean> {
    try {
      if (!(await this.#isSurveyor())) return true;
    } catch (error) {
      this.#failed(error);
      return false;
    }
    return await this.#surveyAll();
  }

  /** Resolves with whether it has reached all nodes. Never rejects. */
  async #surveyAll(): Promise<boolean> {
    const { registry, owners } = this.#options;
    try {
      return await owners.eachDevice(replyMs, async (devices) => {
        this.created += await registry.takeReports(devices);
      });
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }

  #failed(error: unknown): void {
    const level = tailraceErrorFrom(error).retryable ? 'debug' : 'error';
    this.#options.logger[level]({ error }, 'the registry cannot take devices');
  }

  /** One process surveys; another one, if it has not for three surveys. */
  async #isSurveyor(): Promise<boolean> {
    const { database, worker, clock } = this.#options;
    const nowMs = clock.now();
    const { rowCount } = await database.query(
      'UPDATE registry_surveyor SET holder = $1, until_ms = $2 WHERE holder = $1 OR until_ms < $3',
      [worker, nowMs + 3 * surveyMs, nowMs],
    );
    return rowCount > 0;
  }
}
