import { TailraceError } from '@tailrace/protocol/error';

/**
 * The series that a family of metrics may have: every combination of the declared values, or the first `seriesMax`
 * combinations. All others are counted as `other`, so that no client can make the metrics grow. Never use a device ID.
 */
export type Labels<L extends string> =
  | { readonly values: Readonly<Record<L, readonly string[]>> }
  | { readonly names: readonly L[]; readonly seriesMax: number };

/** Of the declared values of a family. */
const combinationsMax = 1_000;
const labelCharactersMax = 100;

/** One metric with labels: a handle for each combination of their values. Get a handle once, not for every message. */
export interface Family<H, L extends string> {
  /** Returns the handle for these values, or that of the `other` series. */
  with(values: Readonly<Record<L, string>>): H;
}

export interface Series<H, L extends string> {
  readonly labels: Readonly<Record<L, string>>;
  readonly handle: H;
}

export class SeriesFamily<H, L extends string> implements Family<H, L> {
  readonly names: readonly L[];
  readonly #declared: Readonly<Record<L, readonly string[]>> | undefined;
  readonly #seriesMax: number;
  readonly #create: () => H;
  readonly #series = new Map<string, Series<H, L>>();
  /** Not counted in `seriesMax`. */
  #other: Series<H, L> | undefined;

  constructor(name: string, labels: Labels<L>, create: () => H) {
    this.#create = create;
    if ('values' in labels) {
      this.#declared = labels.values;
      this.names = Object.keys(labels.values) as L[];
      this.#seriesMax = this.names.reduce((product, label) => product * (labels.values[label].length + 1), 1);
      if (this.#seriesMax > combinationsMax) {
        throw new TailraceError(
          'internal',
          `the metric ${name}: expected at most ${combinationsMax} series, got ${this.#seriesMax}`,
        );
      }
      // Declared series exist from the start, at 0: the rate of a series that appears with its first event lacks that
      // event.
      for (const values of combinations(this.names, labels.values)) this.with(values);
    } else {
      this.#declared = undefined;
      this.names = labels.names;
      this.#seriesMax = labels.seriesMax;
    }
  }

  with(values: Readonly<Record<L, string>>): H {
    const labels = this.#bounded(values);
    const key = this.names.map((name) => labels[name]).join('\u0000');
    const known = this.#series.get(key);
    if (known) return known.handle;
    if (this.#series.size >= this.#seriesMax) return this.#overflow().handle;
    const series = { labels, handle: this.#create() };
    this.#series.set(key, series);
    return series.handle;
  }

  *all(): Iterable<Series<H, L>> {
    yield* this.#series.values();
    if (this.#other) yield this.#other;
  }

  #bounded(values: Readonly<Record<L, string>>): Record<L, string> {
    const declared = this.#declared;
    const bounded = (name: L): string => {
      if (declared) return declared[name].includes(values[name]) ? values[name] : 'other';
      return values[name].slice(0, labelCharactersMax);
    };
    return Object.fromEntries(this.names.map((name) => [name, bounded(name)])) as Record<L, string>;
  }

  #overflow(): Series<H, L> {
    this.#other ??= {
      labels: Object.fromEntries(this.names.map((name) => [name, 'other'])) as Record<L, string>,
      handle: this.#create(),
    };
    return this.#other;
  }
}

function combinations<L extends string>(
  names: readonly L[],
  values: Readonly<Record<L, readonly string[]>>,
): Record<L, string>[] {
  return names.reduce<Record<L, string>[]>(
    (partial, name) => partial.flatMap((labels) => values[name].map((value) => ({ ...labels, [name]: value }))),
    [{} as Record<L, string>],
  );
}
