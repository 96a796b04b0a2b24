import type { Row } from './dashboard.ts';
import { nearLimit, nodes, rate } from './parts.ts';

/** The MQTT listener of ingest. */
export const mqtt: Row = {
  title: 'MQTT',
  panels: [
    nearLimit({
      service: 'ingest',
      gauge: 'mqtt_connections',
      title: 'MQTT connections',
      unit: 'short',
      description: 'Of authenticated devices. At the limit new ones are refused: mqttConnectionsMax.',
    }),
    nearLimit({
      service: 'ingest',
      gauge: 'mqtt_stored_sessions',
      title: 'Stored sessions',
      unit: 'short',
      description: 'Without a connection. At the limit the one that was closed first is discarded, with its commands.',
    }),
    nearLimit({
      service: 'ingest',
      gauge: 'mqtt_stored_session_bytes',
      title: 'Memory of stored sessions',
      unit: 'bytes',
      description: 'About. At the limit as above. One sender has half of it at most.',
    }),
    nearLimit({
      service: 'ingest',
      gauge: 'mqtt_will_bytes',
      title: 'Wills',
      unit: 'bytes',
      description: 'Of all clients. At the limit a CONNECT with a will gets 0x97. One sender has half of it at most.',
    }),
    {
      title: 'MQTT exceptions',
      unit: 'ops',
      description:
        'Per second: sessions discarded at a limit; CONNECT of a version that is not served (edge gateways probe a lost link by one); wills not published because ingest stopped.',
      lines: [
        { expr: `sum(${rate('tailrace_ingest_mqtt_evicted_sessions_total', nodes)})`, legend: 'discarded sessions' },
        { expr: `sum(${rate('tailrace_ingest_mqtt_unsupported_versions_total', nodes)})`, legend: 'other versions' },
        { expr: `sum(${rate('tailrace_ingest_mqtt_withheld_wills_total', nodes)})`, legend: 'withheld wills' },
      ],
    },
  ],
};
