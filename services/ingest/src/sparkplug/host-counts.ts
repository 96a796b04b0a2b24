import type { Counter } from '@tailrace/platform/measures';
import type { Metrics } from '@tailrace/platform/metrics';
import { createCounts, type SparkplugCounts } from '@tailrace/sparkplug/counts';
import type { RebirthCause } from '@tailrace/sparkplug/node-events';
import type { MessageType } from '@tailrace/sparkplug/topic';

/** Types of messages; `invalid`: the topic is none of Sparkplug. */
const countedTypes = [
  ...(['NBIRTH', 'NDATA', 'NDEATH', 'NCMD', 'DBIRTH', 'DDATA', 'DDEATH', 'DCMD'] satisfies MessageType[]),
  ...(['STATE', 'invalid'] as const),
] as const;

const rebirthCauses = [
  'unknown_node',
  'unknown_device',
  'unknown_alias',
  'gap',
  'no_sequence',
] as const satisfies readonly RebirthCause[];

/** Labels of `SparkplugCounts`. */
const events = {
  duplicates: 'duplicate',
  gaps: 'gap',
  outOfSequence: 'out_of_sequence',
  startsWithoutBirth: 'start_without_birth',
  late: 'late',
  staleDeaths: 'stale_death',
  retainedIgnored: 'retained_ignored',
  birthsWithoutBdSeq: 'birth_without_bdseq',
  unknownNames: 'unknown_name',
  dataTypeMismatches: 'data_type_mismatch',
  notFinite: 'not_finite',
  invalidTimes: 'invalid_time',
  invalidProperties: 'invalid_properties',
  unsupportedTypes: 'unsupported_type',
  rebirthsImpossible: 'rebirth_impossible',
} as const satisfies Record<keyof SparkplugCounts, string>;

/** What the hosts of a process count together. */
export interface HostCounts {
  readonly sparkplug: SparkplugCounts;
  readonly messages: Readonly<Record<(typeof countedTypes)[number], Counter>>;
  readonly rebirths: Readonly<Record<RebirthCause, Counter>>;
  /** Messages of other clients on the STATE topic of a host. */
  readonly foreignStates: Counter;
  /** Edge nodes whose owner this node of ingest became, after another one. */
  readonly takenOver: Counter;
}

export function createHostCounts(metrics: Pick<Metrics, 'counter' | 'counters'>): HostCounts {
  const name = (rest: string) => `tailrace_ingest_sparkplug_${rest}_total`;
  const messages = metrics.counters(name('messages'), 'Sparkplug messages received, by type.', {
    values: { type: countedTypes },
  });
  const rebirths = metrics.counters(name('rebirths'), 'Births that were requested of edge nodes, by cause.', {
    values: { cause: rebirthCauses },
  });
  const deviations = metrics.counters(name('events'), 'Deviations in Sparkplug messages, by kind.', {
    values: { event: Object.values(events) },
  });
  const each = <T extends string>(keys: readonly T[], counterOf: (key: T) => Counter) =>
    Object.fromEntries(keys.map((key) => [key, counterOf(key)])) as Record<T, Counter>;
  return {
    sparkplug: countsOf((event) => deviations.with({ event })),
    messages: each(countedTypes, (type) => messages.with({ type })),
    rebirths: each(rebirthCauses, (cause) => rebirths.with({ cause })),
    foreignStates: metrics.counter(
      name('overwritten_states'),
      'Messages of other clients on the STATE topic of a host.',
    ),
    takenOver: metrics.counter(name('taken_over_nodes'), 'Edge nodes that this node took over from another one.'),
  };
}

type Event = (typeof events)[keyof SparkplugCounts];

/** Returns counts that are counters: the package knows no metrics. */
function countsOf(counterOf: (event: Event) => Counter): SparkplugCounts {
  const counts = createCounts();
  for (const key of Object.keys(events) as (keyof SparkplugCounts)[]) {
    const counter = counterOf(events[key]);
    Object.defineProperty(counts, key, {
      get: () => counter.value,
      set(value: number) {
        counter.value = value;
      },
    });
  }
  return counts;
}
