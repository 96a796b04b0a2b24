/**
 * How hard a line works at a time: a shift of eight minutes stands for one of eight hours, so that somebody who watches sees
 * it start, pause and end. Minute 0 ramp up, 1–4 work, 4–4:40 break, to 7:30 work, then a change of shift. Each line is `offsetS` later than
 * the one before it.
 *
 * @returns 0 (stands) to 1 (full load)
 */
export function shiftLoad(timeMs: number, offsetS: number): number {
  const second = (((timeMs / 1000 - offsetS) % shiftS) + shiftS) % shiftS;
  if (second < 60) return 0.25 + (0.75 * second) / 60;
  if (second >= 240 && second < 280) return 0;
  if (second >= 450) return 0.15;
  // Never quite the same pace.
  return 0.9 + 0.1 * Math.sin((2 * Math.PI * second) / 97);
}

const shiftS = 480;

/** Air of the hall, °C: warmest at three in the afternoon, UTC. */
export function hallC(timeMs: number): number {
  const hour = (timeMs / 3_600_000) % 24;
  return 22 + 3 * Math.cos(((hour - 15) / 24) * 2 * Math.PI);
}
