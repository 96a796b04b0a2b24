import { configKeysFrom } from '@tailrace/platform/config-keys';
import type { ServiceSchema } from './service-schemas.ts';

/**
 * The metric that is compared with a limit, by setting; the limit itself is a gauge with `limit_` before the same name.
 */
export const watchedBy: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  fanout: {
    connectionsMax: 'tailrace_fanout_connections',
    subscriptionsMax: 'tailrace_fanout_connection_subscriptions',
    userConnectionsMax: 'tailrace_fanout_user_connections',
    userSubscriptionsMax: 'tailrace_fanout_user_subscriptions',
    addressConnectionsMax: 'tailrace_fanout_address_connections',
    addressHandshakesPerSecondMax: 'tailrace_fanout_recent_address_handshakes',
    handshakesPerSecondMax: 'tailrace_fanout_recent_handshakes',
    messagesPerSecondMax: 'tailrace_fanout_recent_connection_messages',
    revocationsMax: 'tailrace_fanout_revocation_entries',
    credentialsMax: 'tailrace_fanout_credentials',
    socketBytesMax: 'tailrace_fanout_socket_bytes',
    repliesBytesMax: 'tailrace_fanout_reply_bytes',
    lagMsMax: 'tailrace_fanout_client_lag_seconds',
    queuedTasksMax: 'tailrace_fanout_queued_tasks',
    userQueuedTasksMax: 'tailrace_fanout_user_queued_tasks',
    catchUpBytesMax: 'tailrace_fanout_catch_up_bytes',
    replaysMax: 'tailrace_fanout_paced_replays',
    devicesMax: 'tailrace_fanout_devices',
    devicesPerTenantMax: 'tailrace_fanout_tenant_devices',
    tagsPerDeviceMax: 'tailrace_fanout_device_tags',
    lastValuesBytesMax: 'tailrace_fanout_last_value_bytes',
    cutBytesMax: 'tailrace_fanout_cut_bytes',
    windowBytesMax: 'tailrace_fanout_window_bytes',
    idsMax: 'tailrace_fanout_message_ids',
    viewsPerConnectionMax: 'tailrace_fanout_connection_views',
    userViewsMax: 'tailrace_fanout_user_views',
    lastSentReadingsMax: 'tailrace_fanout_last_sent_readings',
    pacedBytesMax: 'tailrace_fanout_paced_bytes',
    heldBytesMax: 'tailrace_fanout_relay_held_bytes',
    eventWindowBytesMax: 'tailrace_fanout_event_window_bytes',
    alarmsMax: 'tailrace_fanout_alarms',
    controlRequestsMax: 'tailrace_fanout_connection_control_requests',
    userControlRequestsMax: 'tailrace_fanout_user_control_requests',
    commandsPerConnectionMax: 'tailrace_fanout_connection_commands',
  },
  control: {
    connectionsMax: 'tailrace_control_connections',
    openCommandsMax: 'tailrace_control_open_commands',
    outboxRowsMax: 'tailrace_control_outbox_rows',
    revocationsMax: 'tailrace_control_revocation_entries',
    credentialsMax: 'tailrace_control_credentials',
    databaseConnectionsMax: 'tailrace_control_database_connections',
    databaseWaitingMax: 'tailrace_control_database_waiting_calls',
  },
  alarms: {
    pairsMax: 'tailrace_alarms_pairs',
    unwrittenMax: 'tailrace_alarms_unwritten_transitions',
  },
  ingest: {
    bodyBytesMax: 'tailrace_ingest_request_body_bytes',
    reportsPerRequestMax: 'tailrace_ingest_request_reports',
    unfinishedBytesMax: 'tailrace_ingest_unfinished_body_bytes',
    inFlightRequestsMax: 'tailrace_ingest_in_flight_requests',
    inFlightBytesMax: 'tailrace_ingest_in_flight_bytes',
    requestsPerTokenMax: 'tailrace_ingest_token_requests',
    connectionsMax: 'tailrace_ingest_connections',
    addressConnectionsMax: 'tailrace_ingest_address_connections',
    unverifiedRequestsMax: 'tailrace_ingest_unverified_requests',
    addressUnverifiedRequestsMax: 'tailrace_ingest_address_unverified_requests',
    streamsMax: 'tailrace_ingest_streams',
    streamsPerTokenMax: 'tailrace_ingest_token_streams',
    streamBytesMax: 'tailrace_ingest_stream_bytes',
    devicesMax: 'tailrace_ingest_devices',
    devicesPerTenantMax: 'tailrace_ingest_tenant_devices',
    revocationsMax: 'tailrace_ingest_revocation_entries',
    deviceSessionsMax: 'tailrace_ingest_device_sessions',
    deviceSessionsPerIdentityMax: 'tailrace_ingest_identity_device_sessions',
    unauthenticatedDevicesMax: 'tailrace_ingest_unauthenticated_devices',
    addressUnauthenticatedDevicesMax: 'tailrace_ingest_address_unauthenticated_devices',
    deviceMessageBytesMax: 'tailrace_ingest_device_message_bytes',
    deviceWindowMax: 'tailrace_ingest_device_window_messages',
    deviceWindowBytesMax: 'tailrace_ingest_device_window_bytes',
    intakeUnsettledMax: 'tailrace_ingest_unsettled_messages',
    deviceSocketBytesMax: 'tailrace_ingest_device_socket_bytes',
    noncesMax: 'tailrace_ingest_nonces',
    recentIdBytesMax: 'tailrace_ingest_recent_id_bytes',
    credentialsMax: 'tailrace_ingest_credentials',
    commandsMax: 'tailrace_ingest_commands',
    deviceCommandsMax: 'tailrace_ingest_device_commands',
    commandOutcomesMax: 'tailrace_ingest_command_outcomes',
    mqttConnectionsMax: 'tailrace_ingest_mqtt_connections',
  },
  edge: {
    storeBytesMax: 'tailrace_edge_store_bytes',
    memoryBytesMax: 'tailrace_edge_memory_bytes',
    catchUpReadingsPerSecondMax: 'tailrace_edge_catch_up_readings',
  },
};

/** Returns the table of all settings with the suffix Max: what happens beyond each, and the metric to watch. */
export function limitTable(services: readonly ServiceSchema[]): string {
  const rows = services.flatMap(({ name: service, schema }) =>
    configKeysFrom(schema)
      .filter(({ name, kind }) => kind === 'number' && name.endsWith('Max'))
      .map(({ name, fallback, unit, reason }) => {
        const metric = watchedBy[service]?.[name];
        const amount = `${Number(fallback).toLocaleString('en')}${unit === undefined ? '' : ` ${unit}`}`;
        return `| ${service} | \`${name}\` | ${amount} | ${reason.replaceAll('|', '\\|')} | ${metric === undefined ? '–' : `\`${metric}\``} |`;
      }),
  );
  return [
    '| service | setting | default | what it bounds, and what happens beyond it | watch |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}
