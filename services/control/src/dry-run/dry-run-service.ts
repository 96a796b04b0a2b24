import { setImmediate as afterOtherWork } from 'node:timers/promises';
import { isTailraceError, TailraceError } from '@tailrace/protocol/error';
import { ruleFrom } from '@tailrace/rules/rule';
import { type ControlContext, orRefused } from '../control-context.ts';
import { assertMaySee, assertRole, type Requester } from '../requester.ts';
import { DryRun, type DryRunResult, dryRunBounds, dryRunLimits } from './dry-run.ts';
import { attributesOf, inForceOf, storedRules } from './dry-run-store.ts';
import type { ReportHistory } from './report-history.ts';

/** Longest span, and longest warm-up before it, ms. */
export const spanMsMax = 31 * 86_400_000;
/** Dry runs of one process at once. Each takes a whole core. */
const activeMax = 1;

export interface DryRunInput {
  /** As for `PUT /v1/rules/{id}`, with the ID of the rule that it is to replace, if there is one. */
  readonly rule: Readonly<Record<string, unknown>>;
  readonly from: number;
  /** Undefined: now. */
  readonly to?: number | undefined;
  readonly pattern?: string | undefined;
  readonly warmUpMs: number;
}

export interface DryRunServiceOptions {
  readonly context: ControlContext;
  readonly history: ReportHistory;
}

const results = ['complete', 'bounded', 'refused', 'failed'] as const;

/** Dry runs of rules: who may have one, one at a time, and their metrics. */
export class DryRunService {
  readonly #options: DryRunServiceOptions;
  readonly #stop = new AbortController();
  readonly #counts;
  #active = 0;

  constructor(options: DryRunServiceOptions) {
    this.#options = options;
    const { metrics } = options.context;
    metrics.gauge('tailrace_control_active_dry_runs', 'Dry runs of rules in progress.', () => this.#active);
    metrics.gauge(
      'tailrace_control_limit_active_dry_runs',
      'Limit of these; a further request is refused with 429.',
      () => activeMax,
    );
    this.#counts = {
      results: metrics.counters('tailrace_control_dry_runs_total', 'Dry runs of rules, by their result.', {
        values: { result: results },
      }),
      bounds: metrics.counters(
        'tailrace_control_bounded_dry_runs_total',
        'Dry runs whose answer is incomplete, by the bound that has left something out.',
        { values: { bound: dryRunBounds } },
      ),
      seconds: metrics.histogram(
        'tailrace_control_dry_run_seconds',
        'How long dry runs of rules take.',
        [0.1, 0.5, 1, 2.5, 5, 10, 20, 30],
      ),
    };
  }

  /**
   * Resolves with what a rule would have raised. `signal`: the requester has left. Rejects with `invalid_rule`,
   * `invalid_message` (of the span), `forbidden` (without the role `engineer`, or the right to see its devices),
   * `rate_limited` (another one runs), the reason of `signal`, `closed` and `unavailable`.
   */
  async run(requester: Requester, input: DryRunInput, signal: AbortSignal): Promise<DryRunResult> {
    const refused = { action: 'rule.refused', target: 'rule/dry-run', details: { requested: 'dry run' } };
    const { rule, patterns } = await orRefused(this.#options.context, requester, refused, async () => {
      assertRole(requester, 'engineer');
      const given = { id: 'dry-run', ...input.rule, version: 1, author: requester.subject, enabled: true };
      const checked = ruleFrom(given);
      const scope = input.pattern === undefined ? checked.devices : [input.pattern];
      for (const pattern of scope) assertMaySee(requester, pattern);
      return { rule: checked, patterns: scope };
    });
    const span = this.#spanOf(input);
    if (this.#active >= activeMax) {
      this.#counts.results.with({ result: 'refused' }).add();
      throw new TailraceError('rate_limited', `dry runs: expected at most ${activeMax} of one process, got one more`);
    }
    this.#active++;
    const { context, history } = this.#options;
    const { database, clock } = context;
    const startedMs = clock.monotonic();
    try {
      const inhibiting = await storedRules(database, rule.inhibition?.alarms ?? []);
      const dryRun = new DryRun(
        { rule, inhibiting, patterns, ...span },
        {
          ...{ history, clock, yield: () => afterOtherWork() },
          attributesOf: (devices) => attributesOf(database, devices),
          inForceOf: (devices) => inForceOf(database, rule.id, devices),
        },
        AbortSignal.any([signal, this.#stop.signal]),
        dryRunLimits,
      );
      const result = await dryRun.run();
      for (const { bound } of result.leftOut) this.#counts.bounds.with({ bound }).add();
      this.#counts.results.with({ result: result.leftOut.length === 0 ? 'complete' : 'bounded' }).add();
      return result;
    } catch (error) {
      this.#counts.results.with({ result: 'failed' }).add();
      if (isTailraceError(error) && error.code === 'not_found')
        throw new TailraceError('unavailable', 'telemetry: expected reports, got no topic yet', { cause: error });
      throw error;
    } finally {
      this.#active--;
      this.#counts.seconds.observe((clock.monotonic() - startedMs) / 1_000);
    }
  }

  #spanOf({ from, to, warmUpMs }: DryRunInput): { from: number; to: number; warmUpMs: number } {
    const nowMs = this.#options.context.clock.now();
    const until = Math.min(to ?? nowMs, nowMs);
    if (from >= until) throw new TailraceError('invalid_message', `from: expected a time before ${until}, got ${from}`);
    if (until - from > spanMsMax)
      throw new TailraceError(
        'invalid_message',
        `to: expected at most ${spanMsMax} ms after from, got ${until - from}`,
      );
    return { from, to: until, warmUpMs };
  }

  /** Cancels what is in progress. */
  stop(): void {
    this.#stop.abort(new TailraceError('closed', 'dry run: this process stops', { retryable: true }));
  }
}
