import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Batcher, TimedReading } from './batcher.ts';
import type { Rule } from './rules/rule.ts';
import { TagFilter } from './rules/tag-filter.ts';
import { Threshold } from './rules/threshold.ts';
import type { Sample } from './sample.ts';
import type { SourceTag } from './source.ts';

/** Without a filter every sample is sent. */
const everySample = { bypass: true, maxSilenceMs: 60_000 } as const;

export interface TagPipelineOptions {
  readonly tags: readonly SourceTag[];
  readonly rules: readonly Rule[];
  readonly batcher: Pick<Batcher, 'add'>;
  /** Called at each change of a rule between clear and active. */
  readonly onRule: (rule: Rule, isActive: boolean, sample: Sample) => void;
  readonly clock: Clock;
}

/**
 * What happens to the samples of a source: its thresholds see each of them, its filters select those that are sent, and
 * the batcher makes reports of these.
 */
export class TagPipeline {
  /** The newest sample of each tag. */
  readonly latest: (Sample | undefined)[] = [];
  /** Samples that came, and that were sent. */
  samples = 0;
  sent = 0;
  readonly #options: TagPipelineOptions;
  readonly #filters: readonly TagFilter[];
  readonly #thresholds: readonly (readonly Threshold[])[];
  #listeners: ((sample: Sample) => void)[] = [];
  #timer: Timer | undefined;

  constructor(options: TagPipelineOptions) {
    const { tags, rules, clock, onRule } = options;
    this.#options = options;
    this.#filters = tags.map(({ filter }, tag) => {
      const isUrgent = filter?.bypass === true;
      return new TagFilter(filter ?? everySample, (sample) => this.#send(tag, sample, isUrgent), clock);
    });
    // There may be thousands of both.
    const byTag = Map.groupBy(rules, ({ when }) => `${when.device} ${when.tag}`);
    this.#thresholds = tags.map(({ device, tag }) =>
      (byTag.get(`${device} ${tag}`) ?? []).map((rule) => {
        const onChange = (isActive: boolean, sample: Sample) => onRule(rule, isActive, sample);
        return new Threshold({ when: rule.when, onChange, clock });
      }),
    );
  }

  take(sample: Sample): void {
    const { tag } = sample;
    this.samples++;
    this.latest[tag] = sample;
    for (const threshold of this.#thresholds[tag]!) threshold.take(sample);
    this.#filters[tag]!.take(sample);
    for (const listener of this.#listeners) listener(sample);
  }

  /** Calls the listener for each sample. Returns a function that removes it. */
  onSample(listener: (sample: Sample) => void): () => void {
    this.#listeners = [...this.#listeners, listener];
    return () => {
      this.#listeners = this.#listeners.filter((each) => each !== listener);
    };
  }

  /** Sends each second what filters hold for too long, while values come. */
  start(isLive: () => boolean): void {
    const { clock } = this.#options;
    this.#timer = clock.every(1_000, () => {
      if (!isLive()) return;
      for (const filter of this.#filters) filter.due();
    });
  }

  /** Sends what filters hold. */
  stop(): void {
    this.#timer?.cancel();
    for (const thresholds of this.#thresholds) for (const threshold of thresholds) threshold.stop();
    for (const filter of this.#filters) filter.flush();
  }

  #send(at: number, { value, time, quality }: Sample, isUrgent: boolean): void {
    const { device, tag, unit } = this.#options.tags[at]!;
    this.sent++;
    const reading: TimedReading = {
      tag,
      // The filter has replaced an absent value.
      value: value!,
      ...(unit !== '' && { unit }),
      ...(quality !== 'good' && { quality }),
      time,
    };
    this.#options.batcher.add(device, reading, isUrgent);
  }
}
