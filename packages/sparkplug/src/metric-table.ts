import { shown, TailraceError } from '@tailrace/protocol/error';
import type { Reading } from '@tailrace/protocol/report';
import { dataTypes } from './data-type.ts';
import { dataTypeOfField, UnreadableMetric } from './metric.ts';
import type { Metric, Payload } from './payload.ts';
import { propertiesOf } from './properties.ts';

export const bdSeqName = 'bdSeq';
export const rebirthName = 'Node Control/Rebirth';

/** A 64-bit integer of the codec: a bigint from 2^53 on. So equal integers are equal by `===`. */
export type Uint64 = number | bigint;

/** A metric as its birth defines it. */
export interface MetricDefinition {
  readonly name: string;
  readonly alias: Uint64 | undefined;
  readonly dataType: number;
  readonly unit: string | undefined;
  /** The last value, for a reading of quality bad when the metric becomes null; undefined for a long text. */
  last: Reading['value'] | undefined;
  /** Time of the last value, epoch ms; 0: unknown. */
  lastTime: number;
}

/** Bytes of a definition beside its texts, about. */
const definitionBytes = 200;

/** Longer texts are not kept: they would dominate the memory of a node. */
const keptCharactersMax = 64;

/** Sets the last value of a metric. */
export function keepLast(definition: MetricDefinition, value: Reading['value'], time: number): void {
  definition.last = typeof value === 'string' && value.length > keptCharactersMax ? undefined : value;
  definition.lastTime = time;
}

/** Returns whether a metric controls the node or its session, and is no measured value. */
export function isControl(name: string): boolean {
  return name === bdSeqName || name.startsWith('Node Control/') || name.startsWith('Device Control/');
}

/** The metrics of a node or device by name and alias, from its last birth. */
export class MetricTable {
  /** Epoch ms by the node's clock; undefined: the birth has none. */
  readonly timestamp: number | undefined;
  /** Whether an alias means another metric than in the birth before. Then older messages cannot be resolved. */
  readonly hasReusedAliases: boolean;
  /** Memory of the definitions, about. */
  bytes = 0;
  readonly #byName = new Map<string, MetricDefinition>();
  readonly #byAlias = new Map<Uint64, MetricDefinition>();

  /** Throws `limit_reached` if the birth has more metrics than `definitionsMax`. Keeps last values of `previous`. */
  constructor(birth: Payload, previous: MetricTable | undefined, definitionsMax: number) {
    this.timestamp = typeof birth.timestamp === 'number' ? birth.timestamp : undefined;
    for (const metric of birth.metrics) this.#add(metric, previous);
    if (this.size > definitionsMax) {
      throw new TailraceError(
        'limit_reached',
        `birth: expected at most ${definitionsMax} further metrics of this node, got ${this.size}`,
      );
    }
    this.hasReusedAliases = previous !== undefined && this.#reusesAliasesOf(previous);
  }

  get size(): number {
    return this.#byName.size;
  }

  /** Whether the node accepts requests for a rebirth. */
  get hasRebirth(): boolean {
    return this.#byName.has(rebirthName);
  }

  byName(name: string): MetricDefinition | undefined {
    return this.#byName.get(name);
  }

  byAlias(alias: Uint64): MetricDefinition | undefined {
    return this.#byAlias.get(alias);
  }

  /** Returns a name that differs in case alone; undefined if there is none. For error messages. */
  similarName(name: string): string | undefined {
    const lower = name.toLowerCase();
    for (const known of this.#byName.keys()) if (known.toLowerCase() === lower) return known;
    return undefined;
  }

  #add(metric: Metric, previous: MetricTable | undefined): void {
    const { name, alias } = metric;
    if (typeof name !== 'string' || name === '') return;
    const hasAlias = alias !== null && alias !== undefined;
    // Of two metrics with one alias the first counts (tck-id-payloads-alias-uniqueness).
    if (hasAlias && this.#byAlias.has(alias) && this.#byAlias.get(alias)?.name !== name) return;
    const dataType = birthDataType(metric);
    const before = previous?.byName(name);
    const isSame = before !== undefined && before.dataType === dataType;
    const definition: MetricDefinition = {
      name,
      alias: hasAlias ? alias : undefined,
      dataType,
      unit: propertiesOf(metric.properties).unit,
      last: isSame ? before.last : undefined,
      lastTime: isSame ? before.lastTime : 0,
    };
    if (!this.#byName.has(name)) this.bytes += definitionBytes + 2 * name.length + 2 * (definition.unit?.length ?? 0);
    this.#byName.set(name, definition);
    if (hasAlias) this.#byAlias.set(alias, definition);
  }

  #reusesAliasesOf(previous: MetricTable): boolean {
    for (const [alias, { name, dataType }] of this.#byAlias) {
      const before = previous.byAlias(alias);
      if (before !== undefined && (before.name !== name || before.dataType !== dataType)) return true;
    }
    return false;
  }
}

/** Returns the data type of a metric in a birth: as stated, else that of its value field. */
export function birthDataType(metric: Metric): number {
  const { datatype } = metric;
  return typeof datatype === 'number' && datatype !== dataTypes.unknown ? datatype : dataTypeOfField(metric);
}

/**
 * Returns the definition of a metric in a message; undefined for a name that the birth lacks. A metric has a name, an
 * alias, or both, which must agree.
 */
export function definitionOf(
  metric: Metric,
  table: MetricTable | undefined,
  hasAliases: boolean,
): MetricDefinition | undefined | UnreadableMetric {
  const { name, alias } = metric;
  const hasAlias = alias !== null && alias !== undefined;
  const named = hasAlias && hasAliases ? table?.byAlias(alias) : undefined;
  if (typeof name === 'string' && name !== '') {
    if (named === undefined || named.name === name) return table?.byName(name);
    return new UnreadableMetric(
      'invalid_report',
      `metric ${shown(name)}: expected the alias of this name, got ${alias}, which is that of ${shown(named.name)}`,
    );
  }
  if (named !== undefined) return named;
  return new UnreadableMetric(
    'unknown_alias',
    `metric: expected a name or an alias of the birth, got ${hasAlias ? `alias ${alias}` : 'neither'}`,
  );
}

/**
 * Returns the number of the node's session (bdSeq) in an NBIRTH or NDEATH: by name, by its alias in the birth, else the
 * only metric if it is an integer. Some nodes send it in an NDEATH without its name.
 */
export function bdSeqOf(payload: Payload, birth: MetricTable | undefined): Uint64 | undefined {
  const { metrics } = payload;
  const named = metrics.find(({ name }) => name === bdSeqName);
  if (named !== undefined) return integerOf(named);
  const alias = birth?.byName(bdSeqName)?.alias;
  const aliased = alias === undefined ? undefined : metrics.find((metric) => !metric.name && metric.alias === alias);
  if (aliased !== undefined) return integerOf(aliased);
  return metrics.length === 1 && !metrics[0]!.name ? integerOf(metrics[0]!) : undefined;
}

function integerOf({ longValue, intValue }: Metric): Uint64 | undefined {
  return longValue ?? intValue ?? undefined;
}
