import type { Reading } from '@tailrace/protocol/report';

/** Returns a rounded reading; none for a number that is not finite, which the protocol refuses. */
export function numberReading(tag: string, value: number | undefined, unit: string, decimals: number): Reading[] {
  if (value === undefined || !Number.isFinite(value)) return [];
  const scale = 10 ** decimals;
  return [{ tag, value: Math.round(value * scale) / scale, unit }];
}

/** Returns the increase of a counter per second. Undefined after a decrease: the counter was reset or has wrapped. */
export function rate(now: number | undefined, before: number | undefined, spanS: number): number | undefined {
  if (now === undefined || before === undefined || now < before || spanS <= 0) return undefined;
  return (now - before) / spanS;
}

/** Parses a count as the kernel prints it. Returns undefined for other text. */
export function countFrom(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,20}$/.test(text) ? Number(text) : undefined;
}
