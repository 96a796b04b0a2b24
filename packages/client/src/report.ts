export type { Delivery, Quality, Reading, Report } from '@tailrace/protocol/report';
