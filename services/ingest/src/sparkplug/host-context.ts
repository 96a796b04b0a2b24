import type { Clock } from '@tailrace/platform/clock';
import type { Reading } from '@tailrace/protocol/report';
import type { SparkplugCounts } from '@tailrace/sparkplug/counts';
import type { SequenceGap } from '@tailrace/sparkplug/node-events';
import type { PathMap } from '@tailrace/sparkplug/path-map';
import type { RebirthBudget } from '@tailrace/sparkplug/rebirth-budget';
import type { ReorderLimits } from '@tailrace/sparkplug/reorder-window';
import type { PresenceEvents } from '../devices/presence-events.ts';
import type { Grant, RecordContext } from '../intake/record-from.ts';
import type { BirthStore } from './birth-store.ts';
import type { HostLimits } from './host-limits.ts';
import type { LogWriter } from './log-writer.ts';
import type { ReportOrigin } from './pending-report.ts';
import type { StandbyReports } from './standby-reports.ts';

/** What the edge nodes of one host share. */
export interface HostContext {
  /** Name of the broker's settings. */
  readonly name: string;
  readonly paths: PathMap;
  readonly grant: Grant;
  /** Devices that have reported. */
  readonly devices: RecordContext['devices'];
  readonly clockAheadMs: number;
  /** Whether another node of ingest may take over: then reports need message IDs. */
  readonly hasPeers: boolean;
  /** Returns the source of the dead letters of a tenant's nodes, which has a rate. */
  readonly letterSourceOf: (tenant: string) => string;
  readonly writer: LogWriter;
  readonly standby: StandbyReports;
  readonly births: Pick<BirthStore, 'put' | 'isPending'>;
  readonly presence: Pick<PresenceEvents, 'started' | 'closed'>;
  /** Undefined: the host requests no births. */
  readonly rebirths: RebirthBudget<ReportOrigin> | undefined;
  readonly counts: SparkplugCounts;
  readonly limits: ReorderLimits;
  readonly shared: HostLimits;
  readonly clock: Pick<Clock, 'now' | 'monotonic'>;
  /** Returns the number of a new session: above all before. */
  nextSession(): number;
  onGap(key: string, gap: SequenceGap): void;
  /** The data of a device were read; undefined: of no interest. */
  readonly onReadings: ((device: string, readings: readonly Reading[]) => void) | undefined;
}
