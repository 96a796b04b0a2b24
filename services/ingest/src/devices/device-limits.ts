import type { Metrics } from '@tailrace/platform/metrics';
import type { Admission } from '../admission.ts';
import { type AnnouncedDevices, announcedDevicesMax } from './announced-devices.ts';
import { type DeviceRecords, idleRecordsMax } from './device-record.ts';
import type { DeviceServer } from './device-server.ts';
import type { DeviceSettings } from './device-settings.ts';
import type { Nonces } from './nonces.ts';
import { type SessionEvents, sessionEventsMax } from './session-events.ts';
import type { SessionRegistry } from './session-registry.ts';

/** The connections of one protocol. */
export interface SessionServer {
  readonly unauthenticated: number;
  mostUnauthenticatedOfOneAddress(): number;
  mostOfOneSession(): { readonly messages: number; readonly bytes: number };
}

/** What the limits are compared with. */
export interface DeviceUsage {
  readonly server: Pick<DeviceServer, 'size' | 'mostOfOneSession'>;
  /** Of all protocols. */
  readonly servers: readonly SessionServer[];
  readonly registry: Pick<SessionRegistry, 'size' | 'waiting'>;
  readonly records: Pick<DeviceRecords, 'size' | 'recentIdBytes'>;
  readonly nonces: Pick<Nonces, 'size' | 'sizeOfOne'>;
  readonly events: Pick<SessionEvents, 'size'>;
  readonly admission: Pick<Admission, 'mostOfOneSender'>;
  readonly announced: Pick<AnnouncedDevices, 'size' | 'limit'>;
}

/** Registers the limits of devices, and how much of each is used. */
export function registerDeviceLimits(metrics: Metrics, usage: DeviceUsage, settings: DeviceSettings): void {
  const { server, servers, registry, records, nonces, admission, events, announced } = usage;
  const most = (read: (each: SessionServer) => number) => Math.max(...servers.map(read));
  const pairs = [
    ['device_sessions', 'WebSockets of devices', () => server.size, settings.deviceSessionsMax],
    [
      'identity_device_sessions',
      'Sessions of devices of the sender that has most',
      () => admission.mostOfOneSender().sessions,
      settings.deviceSessionsPerIdentityMax,
    ],
    [
      'unauthenticated_devices',
      'Connections of devices of one protocol without a valid auth',
      () => most((each) => each.unauthenticated),
      settings.unauthenticatedDevicesMax,
    ],
    [
      'address_unauthenticated_devices',
      'Connections of devices of one protocol without a valid auth, of the address that has most',
      () => most((each) => each.mostUnauthenticatedOfOneAddress()),
      settings.addressUnauthenticatedDevicesMax,
    ],
    [
      'device_window_messages',
      'Messages that wait for the log, of the session that has most',
      () => most((each) => each.mostOfOneSession().messages),
      settings.deviceWindowMax,
    ],
    [
      'device_window_bytes',
      'Bytes that wait for the log, of the session that has most',
      () => most((each) => each.mostOfOneSession().bytes),
      settings.deviceWindowBytesMax,
    ],
    [
      'device_socket_bytes',
      'Answers that wait for the device, of the session that has most',
      () => server.mostOfOneSession().bufferedBytes,
      settings.deviceSocketBytesMax,
    ],
    ['nonces', 'Nonces that are remembered', () => nonces.size, settings.noncesMax],
    [
      'identity_nonces',
      'Nonces that are remembered, of the sender that has most',
      () => nonces.sizeOfOne,
      Math.ceil(settings.noncesMax / 2),
    ],
    [
      'recent_id_bytes',
      'Memory for message IDs that are in the log',
      () => records.recentIdBytes,
      settings.recentIdBytesMax,
    ],
    ['waiting_session_events', 'Events of sessions that wait for the log', () => events.size, sessionEventsMax],
    ['device_records', 'Devices that are remembered without a session', () => records.size, idleRecordsMax],
    [
      'announced_devices',
      'Devices behind gateways whose presence these have published, over MQTT and WebSocket',
      () => announced.size,
      announcedDevicesMax,
    ],
    [
      'identity_announced_devices',
      'Devices behind gateways whose presence these have published, of the sender that has most',
      () => announced.limit.mostOfOne(),
      announced.limit.ofOneMax,
    ],
  ] as const;
  for (const [name, help, read, limit] of pairs) {
    metrics.gauge(`tailrace_ingest_${name}`, `${help}.`, read);
    metrics.gauge(`tailrace_ingest_limit_${name}`, `${help}: the limit.`, () => limit);
  }
  // The histogram of this name has the use.
  metrics.gauge(
    'tailrace_ingest_limit_device_message_bytes',
    'A message of a device: the limit.',
    () => settings.deviceMessageBytesMax,
  );
  metrics.gauge('tailrace_ingest_live_devices', 'Devices with a session.', () => registry.size);
  metrics.gauge(
    'tailrace_ingest_waiting_takeovers',
    'Sessions that wait because two senders use the identity of one device.',
    () => registry.waiting,
  );
}
