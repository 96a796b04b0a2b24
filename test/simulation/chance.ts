import { randomFrom } from '../../services/fanout/test/cluster.ts';

/** Chance from a seed: the same seed, the same run. */
export class Chance {
  readonly random: () => number;

  constructor(seed: number) {
    this.random = randomFrom(seed);
  }

  happens(probability: number): boolean {
    return this.random() < probability;
  }

  /** Evenly from `min` to below `max`. */
  between(min: number, max: number): number {
    return min + this.random() * (max - min);
  }

  /** A whole number from `min` to `max`, both included. */
  whole(min: number, max: number): number {
    return Math.floor(this.between(min, max + 1));
  }

  /** One of at least one. */
  pick<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.random() * choices.length)]!;
  }

  /** Draws of its own: what one part of the world draws more or less changes nothing for the others. */
  fork(): Chance {
    return new Chance(Math.floor(this.random() * 2 ** 32));
  }
}
