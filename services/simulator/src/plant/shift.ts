/**
 * Returns the load of a line, from 0 (stopped) to 1 (full load). A shift takes eight minutes instead of eight hours, so
 * that a viewer sees all of it: minute 0 ramp up, 1 to 4 work, a break until 4:40, work until 7:30, then a change of
 * shift. Each line is `offsetS` later than the previous one.
 */
export function shiftLoad(timeMs: number, offsetS: number): number {
  const second = shiftSecond(timeMs, offsetS);
  if (second < 60) return 0.25 + (0.75 * second) / 60;
  if (second >= 240 && second < 280) return 0;
  if (second >= 450) return 0.15;
  // The pace varies.
  return 0.9 + 0.1 * Math.sin((2 * Math.PI * second) / 97);
}

const shiftS = 480;

/** Returns the seconds since the start of the shift, 0 to 480. */
export function shiftSecond(timeMs: number, offsetS: number): number {
  return (((timeMs / 1000 - offsetS) % shiftS) + shiftS) % shiftS;
}

/** Returns the temperature of the hall, °C: warmest at 15:00 UTC. */
export function hallTemperatureC(timeMs: number): number {
  const hour = (timeMs / 3_600_000) % 24;
  return 22 + 3 * Math.cos(((hour - 15) / 24) * 2 * Math.PI);
}
