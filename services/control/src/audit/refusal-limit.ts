import type { Clock } from '@tailrace/platform/clock';
import type { Metrics } from '@tailrace/platform/metrics';
import { RateLimit } from '@tailrace/platform/rate-limit';

/** Entries of refusals of one subject in a process: at once, and a minute in the long run. */
export const refusalLimits = { burst: 600, perMinute: 60 } as const;
/** Subjects that are remembered; the one that was refused longest ago is forgotten. */
const subjectsMax = 10_000;

/** A subject that was refused. */
interface RefusedSubject {
  /** Of the rate limit. */
  readonly tatMs: number;
  /** Refusals without an entry since the last one with an entry. */
  readonly omitted: number;
}

/**
 * Bounds the entries of refusals, of which each costs its sender a request alone: else one valid token fills the audit.
 * Acts that are done have their entries in any case.
 */
export class RefusalLimit {
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #rate = new RateLimit(refusalLimits.perMinute / 60, refusalLimits.burst);
  readonly #subjects = new Map<string, RefusedSubject>();
  #omitted = 0;

  /** `metrics`: registers the count of refusals without an entry. */
  constructor(clock: Pick<Clock, 'monotonic'>, metrics?: Metrics) {
    this.#clock = clock;
    metrics?.total(
      'tailrace_control_omitted_refusals_total',
      `Refusals without an entry of the audit: of one subject beyond ${refusalLimits.burst} at once and ${refusalLimits.perMinute} a minute.`,
      () => this.#omitted,
    );
  }

  /**
   * Takes a refusal. Returns how many of the subject had no entry before it; undefined: this one has none either, and
   * is counted.
   */
  take(subject: string): number | undefined {
    const { tatMs, omitted } = this.#subjects.get(subject) ?? { tatMs: 0, omitted: 0 };
    const next = this.#rate.take(tatMs, this.#clock.monotonic());
    if (next === undefined) this.#omitted++;
    this.#subjects.delete(subject);
    this.#subjects.set(subject, { tatMs: next ?? tatMs, omitted: next === undefined ? omitted + 1 : 0 });
    if (this.#subjects.size > subjectsMax) this.#subjects.delete(this.#subjects.keys().next().value!);
    return next === undefined ? undefined : omitted;
  }
}
