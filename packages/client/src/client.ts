/** The exports of `@tailrace/client`. */

export type { BackoffOptions } from '@tailrace/protocol/backoff';
export type { Cut } from '@tailrace/protocol/cut-json';
export { type ErrorCode, isTailraceError, TailraceError } from '@tailrace/protocol/error';
export type { Notice } from '@tailrace/protocol/presence';
export type { Delivery, Quality, Reading, Report, ReportClock } from '@tailrace/protocol/report';
export type { Missing } from '@tailrace/protocol/server-message-json';
export type { Skipped, TagSummary } from '@tailrace/protocol/skipped';
export { effectiveTime } from '@tailrace/protocol/source-time';
export type { UrlSource } from './addresses.ts';
export type { ClientClock } from './clock.ts';
export type { TokenSource } from './connection.ts';
export type { PublishResult, RefusedReport } from './outgoing.ts';
export { createPublisher, type Publisher, type PublisherOptions, type PublisherStats } from './publish.ts';
export type { Answered, Loss, StreamState, SubscriptionState } from './state.ts';
export { createStream, type Stream, type StreamOptions } from './stream.ts';
export type { Presence, SubscribeOptions, Subscription, SubscriptionListener, ViewOptions } from './subscription.ts';
export type { WebSocketConstructor, WebSocketLike } from './websocket.ts';
