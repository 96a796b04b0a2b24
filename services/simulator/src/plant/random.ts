/** Returns a number in [0, 1), as Math.random does. */
export type Random = () => number;

/**
 * Creates a seeded source of random numbers: mulberry32 by Tommy Ettinger (public domain), with 2^32 states. The same
 * seed produces the same numbers on every machine.
 */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Returns a normally distributed number, mean 0, standard deviation 1: the Box-Muller transform. */
export function gaussian(random: Random): number {
  // 1 - u lies in (0, 1], so that the logarithm is finite.
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** Returns whether an event with a mean interval of `meanS` seconds occurs in the next `dtS`: a Poisson process. */
export function happens(random: Random, dtS: number, meanS: number): boolean {
  return random() < -Math.expm1(-dtS / meanS);
}

/** Returns the next value of an Ornstein-Uhlenbeck process with time constant `tauS` and standard deviation `sigma`. */
export function wander(value: number, mean: number, sigma: number, tauS: number, dtS: number, random: Random): number {
  const keep = Math.exp(-dtS / tauS);
  return mean + (value - mean) * keep + sigma * Math.sqrt(1 - keep * keep) * gaussian(random);
}

/**
 * Returns the next value of a first-order lag with time constant `tauS`: the exact solution, stable for every `dtS`.
 */
export function follow(value: number, target: number, tauS: number, dtS: number): number {
  return target + (value - target) * Math.exp(-dtS / tauS);
}
