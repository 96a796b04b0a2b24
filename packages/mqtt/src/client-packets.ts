import { shown, TailraceError } from '@tailrace/protocol/error';
import type { ClientOptions } from './client-options.ts';
import { type ConnectPacket, encodePacket } from './codec.ts';

/** Returns the CONNECT packet of a client. Throws `invalid_config` for options that no server accepts. */
export function connectPacketOf(
  options: ClientOptions,
  credentials: { readonly userName?: string; readonly password?: Buffer },
): Buffer {
  const { version, clientId, cleanStart, keepAliveSeconds, will } = options;
  if (clientId === '') throw new TailraceError('invalid_config', `client ID: expected one, got ${shown(clientId)}`);
  const packet: ConnectPacket = {
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: version,
    clientId,
    clean: cleanStart,
    keepalive: keepAliveSeconds,
  };
  if (credentials.userName !== undefined) packet.username = credentials.userName;
  if (credentials.password !== undefined) {
    // MQTT 3.1.1 allows no password alone (MQTT-3.1.2-22).
    packet.username ??= '';
    packet.password = credentials.password;
  }
  if (version === 5) {
    packet.properties = {
      sessionExpiryInterval: options.sessionExpirySeconds,
      receiveMaximum: options.receiveMaximum,
      maximumPacketSize: options.packetBytesMax,
      topicAliasMaximum: options.topicAliasMaximum,
    };
  }
  if (will !== undefined) {
    const { topic, payload, qos, retain, delaySeconds } = will;
    packet.will = { topic, payload, qos, retain };
    if (version === 5 && delaySeconds !== undefined) packet.will.properties = { willDelayInterval: delaySeconds };
  }
  return encodePacket(packet, version);
}
