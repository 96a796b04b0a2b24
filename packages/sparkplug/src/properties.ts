import { type Quality, reportLimits } from '@tailrace/protocol/report';
import { isPlainText } from '@tailrace/protocol/text';
import { dataTypes } from './data-type.ts';
import type { PropertySet, PropertyValue } from './payload.ts';

/** What Tailrace reads of the properties of a metric. */
export interface MetricProperties {
  readonly quality?: Quality;
  readonly unit?: string;
  /** Keys and values of different number: nothing was read. */
  readonly isMalformed?: boolean;
}

const none: MetricProperties = {};

/** Quality codes of Sparkplug 3.0, 6.4.8: bad, good, stale. */
const qualities: Readonly<Record<number, Quality>> = { 0: 'bad', 192: 'good', 500: 'uncertain' };

/** Names of the property of the unit: that of Ignition and that of Tahu's examples. */
const unitKeys: ReadonlySet<string> = new Set(['engUnit', 'Engineering Units']);

/** Reads quality and unit. A property of another type or with an unknown value is ignored. */
export function propertiesOf(set: PropertySet | null | undefined): MetricProperties {
  if (set === null || set === undefined) return none;
  const keys = set.keys ?? [];
  const values = set.values ?? [];
  if (keys.length !== values.length) return { isMalformed: true };
  let quality: Quality | undefined;
  let unit: string | undefined;
  for (let index = 0; index < keys.length; index++) {
    const key = keys[index]!;
    const value = values[index]!;
    if (key === 'Quality') quality = qualityOf(value) ?? quality;
    else if (unitKeys.has(key)) unit = unitOf(value) ?? unit;
  }
  return { ...(quality === undefined ? {} : { quality }), ...(unit === undefined ? {} : { unit }) };
}

function qualityOf({ type, intValue }: PropertyValue): Quality | undefined {
  if (type !== null && type !== undefined && type !== dataTypes.int32) return undefined;
  return typeof intValue === 'number' ? qualities[intValue] : undefined;
}

function unitOf({ type, stringValue }: PropertyValue): string | undefined {
  const isText = type === null || type === undefined || type === dataTypes.string || type === dataTypes.text;
  if (!isText || typeof stringValue !== 'string' || stringValue === '') return undefined;
  return stringValue.length <= reportLimits.unitCharactersMax && isPlainText(stringValue) ? stringValue : undefined;
}
