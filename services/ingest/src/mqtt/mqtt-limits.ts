import type { Metrics } from '@tailrace/platform/metrics';
import type { MqttServer } from './mqtt-server.ts';
import { type MqttSessions, storedBytesMax, storedSessionsMax } from './mqtt-sessions.ts';
import { type Wills, willBytesMax } from './wills.ts';

/** What the limits are compared with. */
export interface MqttUsage extends Pick<MqttServer, 'size' | 'unauthenticated' | 'unsupportedVersions'> {
  readonly sessions: Pick<MqttSessions, 'stored' | 'storedOfOne' | 'bytes' | 'evicted'>;
  readonly wills: Pick<Wills, 'bytes' | 'bytesOfOne' | 'withheld'>;
}

/** Registers the limits of MQTT, and how much of each is used; zeros without MQTT. */
export function registerMqttLimits(metrics: Metrics, usage: MqttUsage | undefined, connectionsMax: number): void {
  const pairs = [
    [
      'mqtt_connections',
      'MQTT connections of authenticated devices',
      () => (usage === undefined ? 0 : usage.size - usage.unauthenticated),
      connectionsMax,
    ],
    [
      'mqtt_stored_sessions',
      'MQTT sessions without a connection that are kept',
      () => usage?.sessions.stored ?? 0,
      storedSessionsMax,
    ],
    [
      'mqtt_stored_session_bytes',
      'Memory of MQTT sessions without a connection, about',
      () => usage?.sessions.bytes.used ?? 0,
      storedBytesMax,
    ],
    ['mqtt_will_bytes', 'Wills of all MQTT clients', () => usage?.wills.bytes ?? 0, willBytesMax],
    [
      'identity_mqtt_stored_sessions',
      'MQTT sessions without a connection, of the sender that has most',
      () => usage?.sessions.storedOfOne ?? 0,
      storedSessionsMax / 2,
    ],
    [
      'identity_mqtt_stored_session_bytes',
      'Memory of MQTT sessions without a connection, about, of the sender that has most',
      () => usage?.sessions.bytes.mostOfOne() ?? 0,
      storedBytesMax / 2,
    ],
    [
      'identity_mqtt_will_bytes',
      'Wills of the MQTT clients of the sender that has most',
      () => usage?.wills.bytesOfOne ?? 0,
      willBytesMax / 2,
    ],
  ] as const;
  for (const [name, help, read, limit] of pairs) {
    metrics.gauge(`tailrace_ingest_${name}`, `${help}.`, read);
    metrics.gauge(`tailrace_ingest_limit_${name}`, `${help}: the limit.`, () => limit);
  }
  metrics.total(
    'tailrace_ingest_mqtt_evicted_sessions_total',
    'MQTT sessions without a connection that were discarded because of their limit.',
    () => usage?.sessions.evicted ?? 0,
  );
  metrics.total(
    'tailrace_ingest_mqtt_unsupported_versions_total',
    'CONNECT packets of a version that is not served: of old clients, and of gateways that probe a lost link.',
    () => usage?.unsupportedVersions ?? 0,
  );
  metrics.total(
    'tailrace_ingest_mqtt_withheld_wills_total',
    'Wills that were not published, because this process has closed their connections when it stopped.',
    () => usage?.wills.withheld ?? 0,
  );
}
