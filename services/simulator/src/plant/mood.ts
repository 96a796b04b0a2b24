import type { Reading, Report } from '@tailrace/protocol/report';
import type { Random } from './random.ts';

/**
 * Moods of the plant.
 * - `calm`: it works.
 * - `drift`: one sensor of each area drifts slowly, and is reset at the next shift.
 * - `storm`: bursts of reports, a noisy device in each area, repeated and late reports.
 * - `dropout`: links of devices are interrupted.
 * - `failure`: two machines stop, heat up slowly, and fail.
 */
export const moods = ['calm', 'drift', 'storm', 'dropout', 'failure'] as const;

export type Mood = (typeof moods)[number];

/** What a mood needs to know of an area. */
export interface MoodArea {
  readonly devices: readonly string[];
  readonly shiftOffsetS: number;
}

export interface MoodOptions {
  readonly areas: readonly MoodArea[];
  /** Its own, so that a mood does not change the random numbers of the machines. */
  readonly random: Random;
  /** The time at which it is switched on, epoch ms. */
  readonly startMs: number;
}

/** What a mood changes. A method returns its argument for what it leaves alone. */
export interface MoodEffect {
  /** Advances to the next tick. */
  advance(timeMs: number, dtS: number): void;
  load(device: string, load: number): number;
  /** Returns how many reports the device sends instead of one. */
  reportsAtOnce(device: string): number;
  readings(device: string, readings: Reading[]): Reading[];
  /** Returns what is sent at this tick instead of `reports`. */
  sent(reports: Report[], timeMs: number): Report[];
  /** Returns the reports that were not sent yet, when the mood is switched off. */
  unsent(): Report[];
  /** Whether the device has its link. */
  isLinked(device: string): boolean;
}

export const calm: MoodEffect = {
  advance: () => {},
  load: (_device, load) => load,
  reportsAtOnce: () => 1,
  readings: (_device, readings) => readings,
  sent: (reports) => reports,
  unsent: () => [],
  isLinked: () => true,
};
