export type { Delivery, Quality, Reading, Report, ReportClock } from '@tailrace/protocol/report';
export { effectiveTime } from '@tailrace/protocol/source-time';
