import type { Reading } from '@tailrace/protocol/report';

/** A number reading, rounded; nothing where the number is not finite, which the protocol refuses. */
export function numberReading(tag: string, value: number | undefined, unit: string, decimals: number): Reading[] {
  if (value === undefined || !Number.isFinite(value)) return [];
  const scale = 10 ** decimals;
  return [{ tag, value: Math.round(value * scale) / scale, unit }];
}

/** What a counter grew by in a second. Nothing where it went back: it was reset or wrapped, and the truth is not known. */
export function rate(now: number | undefined, before: number | undefined, spanS: number): number | undefined {
  if (now === undefined || before === undefined || now < before || spanS <= 0) return undefined;
  return (now - before) / spanS;
}

/** Reads a count as the kernel prints it. Nothing for anything else. */
export function countFrom(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,20}$/.test(text) ? Number(text) : undefined;
}
