import type { IngestConnection } from './ingest-connection.ts';
import { httpProbe, mqttProbe } from './link-probe.ts';
import { MqttConnection } from './mqtt-connection.ts';
import { isMqttUrl } from './mqtt-dial.ts';
import type { TlsFiles } from './tls-files.ts';
import { WebSocketConnection, type WebSocketConnectionOptions } from './websocket-connection.ts';

/** Returns the connection for a URL: by MQTT, or by the WebSocket for devices. Throws `invalid_config`. */
export function createIngestConnection(options: WebSocketConnectionOptions): IngestConnection {
  return isMqttUrl(options.url) ? new MqttConnection(options) : new WebSocketConnection(options);
}

/** Returns the probe for a URL: resolves with whether ingest answers within `limitMs`. */
export function ingestProbe(url: string, tls?: TlsFiles): (limitMs: number) => Promise<boolean> {
  if (/^mqtt/i.test(url)) return mqttProbe(url, tls);
  return httpProbe(url, isMqttUrl(url) ? '/v1/mqtt' : '/v1/device', tls);
}
