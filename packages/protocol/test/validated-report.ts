import type { Report } from '../src/report.ts';
import { decodeDelivery } from '../src/report-proto.ts';

/** Decodes and validates a report, as a client does with a delivery. */
export function validatedReport(bytes: Uint8Array): Report {
  const { partition, seq, delta, ...report } = decodeDelivery(bytes);
  return report;
}
