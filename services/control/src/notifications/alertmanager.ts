import { type AlarmNotice, isActive, lowestPriority, plainLine, summaryOf } from './alarm-notice.ts';

/*
 * Alarms for the API v2 of Prometheus' Alertmanager (POST /api/v2/alerts). An alert is identified by its labels. It is
 * active until `endsAt`, which the client moves on by sending it again, every 30 s to 3 min, while it stands: so an
 * Alertmanager that was restarted knows it again, and one that the client no longer reaches forgets it in time. A
 * resolved alert is sent once more: to an Alertmanager whose clock is behind, the first time was in the future, and it
 * takes the later of the two times.
 */

/** How often a standing alarm is sent again, ms, and how long it is active without that. */
export const resendMs = 60_000;
const activeMs = 4 * resendMs;
/** Alerts of one request. */
export const alertsMax = 100;

/** An alert of the API. */
export interface Alert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** RFC 3339, as `endsAt`. */
  readonly startsAt: string;
  readonly endsAt: string;
}

/** Returns the identity of the alarm of a rule at a device. */
export function alertKey({ rule, device }: Pick<AlarmNotice, 'rule' | 'device'>): string {
  return `${rule} ${device}`;
}

/** Returns the alert of the last transition of an alarm: active, or resolved at the time of the transition. */
export function alertOf(notice: AlarmNotice, nowMs: number): Alert {
  const { state, value, limit, limitValue, note, by } = notice;
  const annotations = { summary: summaryOf(notice), state, value, limit, limit_value: limitValue, note, by };
  // Not in the future, as by the clock of a device that is ahead: the alert would be active until then.
  const startsMs = Math.min(notice.activated ?? notice.time, nowMs);
  return {
    labels: labelsOf(notice),
    annotations: textsOf(annotations),
    startsAt: timeOf(startsMs),
    endsAt: timeOf(isActive(notice) ? nowMs + activeMs : endMsOf(notice, startsMs, nowMs)),
  };
}

/**
 * Returns the alerts to send for a transition after a former one of the same alarm: if its labels have changed, as by
 * an escalation, the alert with the former ones is resolved.
 */
export function alertsAfter(notice: AlarmNotice, former: AlarmNotice | undefined, nowMs: number): Alert[] {
  const alert = alertOf(notice, nowMs);
  if (former === undefined || !isActive(former)) return [alert];
  const before = alertOf(former, nowMs);
  if (JSON.stringify(before.labels) === JSON.stringify(alert.labels)) return [alert];
  return [{ ...before, endsAt: timeOf(endMsOf(notice, Date.parse(before.startsAt), nowMs)) }, alert];
}

/** Returns the end of an alert by a transition: not in the future, and not before its start, which is refused. */
function endMsOf({ time }: AlarmNotice, startsMs: number, nowMs: number): number {
  return Math.max(Math.min(time, nowMs), startsMs);
}

/** What an Alertmanager routes and inhibits by. */
function labelsOf({ rule, device, priority = lowestPriority, alarmClass, tag }: AlarmNotice): Record<string, string> {
  const severity = priority <= 2 ? 'critical' : priority === 3 ? 'warning' : 'info';
  return textsOf({ alertname: rule, device, priority, severity, alarm_class: alarmClass, tag, source: 'tailrace' });
}

/** Leaves out what is absent or empty: to an Alertmanager an empty label is none. */
function textsOf(values: Readonly<Record<string, unknown>>): Record<string, string> {
  const texts = Object.entries(values).map(([name, value]) => [name, plainLine(String(value ?? ''))] as const);
  return Object.fromEntries(texts.filter(([, text]) => text !== ''));
}

function timeOf(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
