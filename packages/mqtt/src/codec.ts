import * as mqttPacket from 'mqtt-packet';
import { type MqttVersion, malformed } from './reason.ts';

export type {
  IConnackPacket as ConnackPacket,
  IConnectPacket as ConnectPacket,
  IDisconnectPacket as DisconnectPacket,
  ISubackPacket as SubackPacket,
  ISubscribePacket as SubscribePacket,
  ISubscription as PacketSubscription,
  IUnsubackPacket as UnsubackPacket,
  IUnsubscribePacket as UnsubscribePacket,
  Packet,
} from 'mqtt-packet';

type Packet = mqttPacket.Packet;

// Its cache has 65,536 buffers, for numbers that a few packets of a connection need.
mqttPacket.writeToStream.cacheNumbers = false;

/**
 * One parser serves all connections: it is only passed whole packets, so that it has no state between two calls. After
 * an error it is replaced, because it may have kept a part of the packet.
 */
let parser = createParser();
let parsed: Packet | undefined;
let failed: Error | undefined;

function createParser(): mqttPacket.Parser & { settings?: unknown } {
  const created = mqttPacket.parser();
  created.on('packet', (packet) => {
    parsed ??= packet;
  });
  created.on('error', (error: Error) => {
    failed ??= error;
  });
  return created;
}

/**
 * Returns the fields of a whole packet that `assertPacket` has accepted. mqtt-packet checks neither UTF-8 nor the table
 * of properties, and reads beyond the end of a short packet. Throws MqttError (0x81) where it refuses the packet.
 */
export function decodePacket(packet: Buffer, version: MqttVersion): Packet {
  parsed = undefined;
  failed = undefined;
  // After a CONNECT, the parser keeps that packet as its settings, with the password.
  parser.settings = { protocolVersion: version };
  try {
    parser.parse(packet);
  } catch (error) {
    failed = error as Error;
  }
  parser.settings = undefined;
  const result = parsed as Packet | undefined;
  parsed = undefined;
  if (failed !== undefined || result === undefined) {
    parser = createParser();
    throw malformed(`packet: ${failed?.message ?? 'expected a whole one'}`);
  }
  return result;
}

/** Returns a packet as one buffer. Throws what mqtt-packet throws for fields that it cannot write. */
export function encodePacket(packet: Packet, version: MqttVersion): Buffer {
  return mqttPacket.generate(packet, { protocolVersion: version });
}
