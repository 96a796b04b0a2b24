/** UCUM units that people write differently. Others are shown unchanged, with a middle dot in products. */
const unitLabels: Readonly<Record<string, string>> = {
  '1': '',
  Cel: '°C',
  '[degF]': '°F',
  deg: '°',
  By: 'B',
  'By/s': 'B/s',
  'kW.h': 'kWh',
  'W.h': 'Wh',
  'm3/min': 'm³/min',
  'm3/h': 'm³/h',
  m2: 'm²',
  m3: 'm³',
  'm/s2': 'm/s²',
  um: 'µm',
  us: 'µs',
  Ohm: 'Ω',
  '[ppm]': 'ppm',
};

export function unitLabel(ucum: string): string {
  return unitLabels[ucum] ?? ucum.replaceAll('.', '·');
}

const counts = new Intl.NumberFormat('en-US');

/** `20,000`. */
export function shownCount(count: number): string {
  return counts.format(count);
}

/** A number and its unit as text. */
export interface FormattedValue {
  readonly number: string;
  readonly unit: string;
}

/** More decimals are not readable, and sums of binary fractions have many. */
export const decimalsMax = 6;

/** How many decimals a number is written with, at most `decimalsMax`: 0 for 12, 1 for 12.5. */
export function decimalsOf(value: number): number {
  for (let decimals = 0; decimals < decimalsMax; decimals++) {
    const scaled = value * 10 ** decimals;
    if (Math.abs(scaled - Math.round(scaled)) <= 1e-9 * Math.abs(scaled)) return decimals;
  }
  return decimalsMax;
}

const bytePrefixes = ['', 'k', 'M', 'G', 'T', 'P'];

/** Returns the unit for a number of bytes: its factor and prefix. */
export function byteScale(bytes: number): { readonly factor: number; readonly prefix: string } {
  let power = 0;
  while (power < bytePrefixes.length - 1 && bytes >= 1000 ** (power + 1)) power++;
  return { factor: 1000 ** power, prefix: bytePrefixes[power] ?? '' };
}

/**
 * Formats a value: bytes in thousands, long spans in days and hours, any other with the decimals of its source, so that
 * its width does not change with trailing zeros. Decimals beyond the fourth digit are left out.
 *
 * @param decimals the most that the source has sent so far
 */
export function shownNumber(value: number, ucum: string, decimals: number): FormattedValue {
  if (ucum === 'By' || ucum === 'By/s') {
    const { factor, prefix } = byteScale(Math.abs(value));
    return {
      number: fixed(value / factor, factor === 1 ? 0 : readable(value / factor)),
      unit: prefix + unitLabel(ucum),
    };
  }
  if (ucum === 's' && Math.abs(value) >= 3600) return { number: shownSpan(value), unit: '' };
  return { number: fixed(value, Math.min(decimals, readable(value))), unit: unitLabel(ucum) };
}

/** Decimals that make four digits, at least three after the point for what is below 1. */
function readable(value: number): number {
  const size = Math.abs(value);
  return size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3;
}

/** A number with so many decimals, a real minus sign, and narrow spaces between thousands from five digits on. */
export function fixed(value: number, decimals: number): string {
  const size = Math.abs(value);
  if (size >= 1e12 || (size > 0 && size < 10 ** -decimalsMax)) return value.toExponential(2).replace('-', '−');
  const [whole = '', part] = size.toFixed(decimals).split('.');
  const grouped = whole.length > 4 ? whole.replace(/\B(?=(?:\d{3})+$)/g, '\u202f') : whole;
  // No minus before what is shown as zero.
  const sign = value < 0 && Number(size.toFixed(decimals)) !== 0 ? '−' : '';
  return sign + grouped + (part === undefined ? '' : `.${part}`);
}

/** A value and its unit in one text. A degree sign stands close. */
export function shownText({ number, unit }: FormattedValue): string {
  return unit === '' || unit === '°' ? number + unit : `${number}\u00a0${unit}`;
}

/**
 * Formats a range beside a value with the unit `shownUnit`: `6.5 to 7.4`. Numbers with another unit have it:
 * `16.4 kB/s to 451 MB/s`. Undefined if both numbers have the same text.
 */
export function shownRange(
  [low, high]: readonly [number, number],
  ucum: string,
  decimals: number,
  shownUnit: string,
): string | undefined {
  const from = shownNumber(low, ucum, decimals);
  const to = shownNumber(high, ucum, decimals);
  if (from.unit !== to.unit) return `${shownText(from)} to ${shownText(to)}`;
  if (from.number === to.number) return undefined;
  return `${from.number} to ${to.unit === shownUnit ? to.number : shownText(to)}`;
}

function shownSpan(seconds: number): string {
  const minutes = Math.floor(Math.abs(seconds) / 60);
  const days = Math.floor(minutes / 1440);
  const hours = Math.floor((minutes % 1440) / 60);
  return days > 0 ? `${days} d ${hours} h` : `${hours} h ${minutes % 60} min`;
}

/** How long ago, in one number: `<1 s`, `7 s`, `3 min`, `5 h`, `2 d`. */
export function shownAge(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return '<1 s';
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

const clockTime = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const clockDate = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });

/** Time of day; with the date where that is not today's. */
export function shownTime(timeMs: number, nowMs: number): string {
  const time = clockTime.format(timeMs);
  const date = clockDate.format(timeMs);
  return date === clockDate.format(nowMs) ? time : `${date} ${time}`;
}
