import { type Counter, delayBoundsSeconds, type Histogram, sizeBoundsBytes } from '@tailrace/platform/measures';
import type { Metrics } from '@tailrace/platform/metrics';
import { closeCodes } from '@tailrace/protocol/close';
import type { ErrorCode } from '@tailrace/protocol/error';
import { closeReasons, type PresenceCounts } from './presence-events.ts';

/** The protocols of devices with a session. */
export const sessionProtocols = ['websocket', 'mqtt'] as const;
export type SessionProtocol = (typeof sessionProtocols)[number];

/**
 * What became of a message. `dropped`: of quality 0, which is not acknowledged. `unavailable`: the log has not
 * confirmed it in time.
 */
export const messageOutcomes = ['accepted', 'duplicate', 'rejected', 'rate_limited', 'unavailable', 'dropped'] as const;
export type MessageOutcome = (typeof messageOutcomes)[number];

/** Why a session reads nothing. */
export const pauseCauses = ['auth', 'window', 'bytes', 'rate', 'pace', 'unavailable'] as const;
export type PauseCause = (typeof pauseCauses)[number];

const rejectionCodes = [
  'invalid_message',
  'invalid_report',
  'invalid_path',
  'forbidden',
  'too_large',
  'limit_reached',
  'closed',
  'other',
] as const;
type RejectionCode = (typeof rejectionCodes)[number];

const codes = [...Object.values(closeCodes).map(({ code }) => `${code}`), '1000', '1006', 'other'];

/** The limit by which a message was refused. */
export const rateScopes = ['device', 'event', 'tenant'] as const;
export type RateScope = (typeof rateScopes)[number];

type Counts<Label extends string> = Readonly<Record<Label, Counter>>;

/** Takeovers of a device: from a session of this node, or of another one; by a second sender or not. */
export interface TakeoverCounts {
  readonly node: Counts<'yes' | 'no'>;
  readonly cluster: Counts<'yes' | 'no'>;
}

/** The counters of the sessions of one protocol. */
export interface ProtocolCounts {
  readonly messages: Counts<MessageOutcome>;
  readonly resent: Counter;
  readonly ackSeconds: Histogram;
  readonly messageBytes: Histogram;
  rejected(code: ErrorCode): void;
  closed(code: number): void;
}

export interface DeviceCounts {
  readonly protocols: Readonly<Record<SessionProtocol, ProtocolCounts>>;
  readonly takeovers: TakeoverCounts;
  readonly claimsAhead: Counter;
  readonly presence: PresenceCounts;
  readonly rateLimited: Counts<RateScope>;
  /** Sessions that are paused now. */
  readonly paused: Record<PauseCause, number>;
}

export function createDeviceCounts(metrics: Metrics): DeviceCounts {
  const paused: Record<PauseCause, number> = { auth: 0, window: 0, bytes: 0, rate: 0, pace: 0, unavailable: 0 };
  metrics.gauges(
    'tailrace_ingest_paused_sessions',
    'Sessions of devices that are not read, by cause.',
    'cause',
    pauseCauses.length,
    () => Object.entries(paused),
  );
  return {
    protocols: protocolCounts(metrics),
    takeovers: takeoverCounts(metrics),
    claimsAhead: metrics.counter(
      'tailrace_ingest_ahead_claims_total',
      'Sessions of other nodes whose numbers are more than 10 minutes ahead of the clock of this one.',
    ),
    presence: presenceCounts(metrics),
    rateLimited: rateCounts(metrics),
    paused,
  };
}

function protocolCounts(metrics: Metrics): Readonly<Record<SessionProtocol, ProtocolCounts>> {
  const protocols = { values: { protocol: sessionProtocols } } as const;
  const messages = metrics.counters(
    'tailrace_ingest_messages_total',
    'Messages of devices with a session, by outcome.',
    {
      values: { protocol: sessionProtocols, outcome: messageOutcomes },
    },
  );
  const rejected = metrics.counters(
    'tailrace_ingest_rejected_messages_total',
    'Messages that were rejected, by code.',
    {
      values: { protocol: sessionProtocols, code: rejectionCodes },
    },
  );
  const resent = metrics.counters(
    'tailrace_ingest_resent_messages_total',
    'Messages that a device has sent again, and that were pending or in the log.',
    protocols,
  );
  const ackSeconds = metrics.histograms(
    'tailrace_ingest_ack_duration_seconds',
    'From the receipt of a message to its acknowledgement.',
    delayBoundsSeconds,
    protocols,
  );
  const messageBytes = metrics.histograms(
    'tailrace_ingest_device_message_bytes',
    'Messages received.',
    sizeBoundsBytes,
    protocols,
  );
  const closes = metrics.counters('tailrace_ingest_device_closes_total', 'Closed connections of devices, by code.', {
    values: { protocol: sessionProtocols, code: codes },
  });
  return record(sessionProtocols, (protocol) => ({
    messages: record(messageOutcomes, (outcome) => messages.with({ protocol, outcome })),
    resent: resent.with({ protocol }),
    ackSeconds: ackSeconds.with({ protocol }),
    messageBytes: messageBytes.with({ protocol }),
    rejected(code) {
      const known = (rejectionCodes as readonly string[]).includes(code) ? (code as RejectionCode) : 'other';
      rejected.with({ protocol, code: known }).add();
    },
    closed(code) {
      closes.with({ protocol, code: codes.includes(`${code}`) ? `${code}` : 'other' }).add();
    },
  }));
}

function takeoverCounts(metrics: Metrics): TakeoverCounts {
  const places = ['node', 'cluster'] as const;
  const answers = ['yes', 'no'] as const;
  const takeovers = metrics.counters(
    'tailrace_ingest_takeovers_total',
    'Sessions that a newer one of the same device has replaced. fight: both are at work.',
    { values: { where: places, fight: answers } },
  );
  return record(places, (where) => record(answers, (fight) => takeovers.with({ where, fight })));
}

function presenceCounts(metrics: Metrics): PresenceCounts {
  const events = metrics.counters('tailrace_ingest_session_events_total', 'Sessions of devices, by what happened.', {
    values: { event: ['started', 'conflict', ...closeReasons] },
  });
  return {
    started: events.with({ event: 'started' }),
    conflicts: events.with({ event: 'conflict' }),
    closed: record(closeReasons, (event) => events.with({ event })),
    dropped: metrics.counter(
      'tailrace_ingest_dropped_session_events_total',
      'Events of sessions that were dropped, because the log has not taken them in time.',
    ),
  };
}

function rateCounts(metrics: Metrics): DeviceCounts['rateLimited'] {
  const limited = metrics.counters(
    'tailrace_ingest_rate_limited_messages_total',
    'Messages and batches that were refused by rate: of their device, of its events, or of its tenant.',
    { values: { scope: rateScopes } },
  );
  return record(rateScopes, (scope) => limited.with({ scope }));
}

function record<Key extends string, Value>(keys: readonly Key[], value: (key: Key) => Value): Record<Key, Value> {
  return Object.fromEntries(keys.map((key) => [key, value(key)])) as Record<Key, Value>;
}
