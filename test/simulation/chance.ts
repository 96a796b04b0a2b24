import { randomFrom } from '../../services/fanout/test/cluster.ts';

/** Pseudorandom draws from a seed: the same seed, the same run. */
export class Chance {
  readonly random: () => number;

  constructor(seed: number) {
    this.random = randomFrom(seed);
  }

  happens(probability: number): boolean {
    return this.random() < probability;
  }

  /** Returns a number from `min` to below `max`, uniformly distributed. */
  between(min: number, max: number): number {
    return min + this.random() * (max - min);
  }

  /** Returns an integer from `min` to `max`, both included. */
  whole(min: number, max: number): number {
    return Math.floor(this.between(min, max + 1));
  }

  /** Returns one of the choices. Expects at least one. */
  pick<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.random() * choices.length)]!;
  }

  /** Returns an independent sequence, so that the draws of one part of the world do not change those of the others. */
  fork(): Chance {
    return new Chance(Math.floor(this.random() * 2 ** 32));
  }
}
