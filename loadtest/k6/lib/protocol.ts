/**
 * What the load tests use of @tailrace/protocol. k6 resolves no npm packages: `make generate` bundles this file into
 * generated/protocol.js, and the other files here import that.
 */
import './text-encoding.ts';

export { backoffMs } from '@tailrace/protocol/backoff';
export { type ClientMessage, clientMessageBytes, clientMessageJson } from '@tailrace/protocol/client-message';
export { mayReconnect } from '@tailrace/protocol/close';
export { tailrace } from '@tailrace/protocol/generated';
export { type Positions, positionsFromToken, tokenFromPositions } from '@tailrace/protocol/position';
export type { Delivery } from '@tailrace/protocol/report';
export { decodeDelivery } from '@tailrace/protocol/report-proto';
export { readingTags, reportTags } from '@tailrace/protocol/report-tags';
export { type ServerMessage, serverMessageFromBytes, serverMessageFromJson } from '@tailrace/protocol/server-message';
export { type Skipped, skippedFrom } from '@tailrace/protocol/skipped';
export { WireReader } from '@tailrace/protocol/wire-reader';
