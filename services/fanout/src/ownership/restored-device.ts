import { tailrace } from '@tailrace/protocol/generated';
import type { TenantShare } from '../channels/device.ts';
import { LogReport, type Packed, unpacked } from '../channels/log-report.ts';

const { DeviceState } = tailrace.v1;

/** A device from the state topic. Decoded on request, because there may be hundreds of thousands. */
export class RestoredDevice {
  readonly next: number;
  readonly share: TenantShare;
  readonly #partition: number;
  readonly #state: Packed;

  constructor(partition: number, next: number, share: TenantShare, state: Packed) {
    this.#partition = partition;
    this.next = next;
    this.share = share;
    this.#state = state;
  }

  /** Heap bytes. */
  get bytes(): number {
    return this.#state.length;
  }

  /**
   * Returns its last values, by position, the position of its last report, and its report interval and the time of its
   * last report, if they were known.
   */
  decoded(): {
    readonly logReports: readonly LogReport[];
    readonly lastSeq: number;
    readonly reportInterval: { readonly intervalMs: number; readonly lastMs: number } | undefined;
  } {
    const { reports, lastSeq, intervalMs, lastMs } = DeviceState.decode(unpacked(this.#state));
    const logReports = reports.map(
      ({ seq, report }) => new LogReport(this.#partition, seq ?? 0, new Uint8Array(report ?? [])),
    );
    return {
      logReports,
      lastSeq: lastSeq === 0 ? -1 : lastSeq,
      reportInterval: lastMs > 0 ? { intervalMs, lastMs } : undefined,
    };
  }
}
