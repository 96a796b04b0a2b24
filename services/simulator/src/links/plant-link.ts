import type { PublisherStats } from '@tailrace/client/publish';
import type { Report } from '@tailrace/protocol/report';

/** Takes the reports of some devices of the plant to Tailrace, by one protocol. */
export interface PlantLink {
  start(): Promise<void>;
  /**
   * Takes the reports of a tick. Those of a device that is not linked get lost, or wait, as with this protocol.
   * Never throws.
   */
  publish(reports: readonly Report[], isLinked: (device: string) => boolean): void;
  /** Resolves when every report has an answer. */
  drain(): Promise<void>;
  /** Drops the reports without an answer. Idempotent. */
  stop(): void | Promise<void>;
  stats(): PublisherStats;
}

/** Of a link to which clients connect: it serves the last values, and nothing waits in it. */
export const noStats: PublisherStats = {
  queuedReports: 0,
  queuedReportsMax: 0,
  queuedBytes: 0,
  queuedBytesMax: 0,
  accepted: 0,
  refused: 0,
  retries: 0,
};
