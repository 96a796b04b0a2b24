import exec from 'k6/execution';
import type { Options } from 'k6/options';
import { htmlOf } from './html.ts';
import { measures } from './measures.ts';
import { Plan, type ScenarioOptions } from './plan.ts';
import { probe } from './probe.ts';
import { publish } from './publish.ts';
import { thresholdsOf } from './slo.ts';
import { readSlowly } from './slow.ts';
import { isGeneratorLate, type SummaryData, summaryOf, textOf } from './summary.ts';
import { tokenFor } from './token.ts';
import { type Run, watch } from './watch.ts';

/** For all VUs to start, ms; and after the run, for clients to finish. */
const startupMs = 2000;
const marginMs = 15_000;

/** The exports of a scenario's file that k6 calls. */
export interface LoadTest {
  readonly options: Options;
  setup(): Promise<Run>;
  watcher(run: Run): Promise<void>;
  publisher(run: Run): void;
  slow(run: Run): void;
  handleSummary(data: SummaryData): Record<string, string>;
}

export function loadTest(scenario: ScenarioOptions): LoadTest {
  const plan = new Plan(scenario, __ENV);
  const { settings } = plan;
  return {
    options: optionsOf(plan),

    async setup() {
      const root = `${settings.prefix}.${settings.run || `r${Date.now().toString(36)}`}`;
      const token = tokenFor(settings, Date.now());
      const { offsetMs } = await probe(plan, root, token);
      measures.clockOffset.add(offsetMs);
      return { root, token, offsetMs, startMs: Date.now() + startupMs + plan.connectMs };
    },

    // Unique over all k6 processes of a test, so that each client and each line has one VU.
    watcher: (run) => watch(plan, run, exec.scenario.iterationInTest),
    publisher: (run) => publish(plan, run, exec.scenario.iterationInTest),
    slow: (run) => readSlowly(plan, run, exec.scenario.iterationInTest),

    handleSummary(data) {
      const summary = summaryOf(data, { scenario: plan.name, what: plan.what, settings: loadOf(plan) });
      const text = textOf(summary, isGeneratorLate(data));
      const { summary: folder } = settings;
      if (folder === '') return { stdout: text };
      return {
        stdout: `${text}  ${folder}/${plan.name}.html, .json\n\n`,
        [`${folder}/${plan.name}.html`]: htmlOf(summary),
        [`${folder}/${plan.name}.json`]: `${JSON.stringify({ ...summary, metrics: data.metrics }, undefined, 2)}\n`,
      };
    },
  };
}

function optionsOf(plan: Plan): Options {
  const maxDuration = `${Math.ceil((startupMs + plan.connectMs + plan.lastsMs + marginMs) / 1000)}s`;
  const blocks = (name: string, vus: number) => ({
    executor: 'shared-iterations' as const,
    exec: name,
    vus,
    iterations: vus,
    maxDuration,
    gracefulStop: '5s',
  });
  const { onlyIngest = false, hasSlowClients = false } = plan.options;
  return {
    scenarios: {
      publish: blocks('publisher', plan.publishers),
      ...(onlyIngest ? {} : { watch: blocks('watcher', plan.vus) }),
      ...(hasSlowClients ? { slow: blocks('slow', plan.settings.slowClients) } : {}),
    },
    thresholds: thresholdsOf(plan) as Options['thresholds'] & object,
    // Each further tag takes time for each frame.
    systemTags: ['name', 'status', 'error'],
    summaryTrendStats: ['avg', 'min', 'med', 'p(95)', 'p(99)', 'max', 'count'],
    setupTimeout: '60s',
    discardResponseBodies: false,
    noCookiesReset: true,
  };
}

function loadOf({ settings, options, vus, publishers }: Plan): Record<string, string | number> {
  const { clients, devices, line, rate, durationMs, encoding } = settings;
  const common = { DEVICES: devices, RATE: rate, DURATION: `${durationMs / 1000}s`, PUBLISHERS: publishers };
  return options.onlyIngest === true
    ? common
    : { ...common, CLIENTS: clients, LINE: line, ENCODING: encoding, VUS: vus };
}
