import assert from 'node:assert/strict';
import * as mqttPacket from 'mqtt-packet';
import type { Version } from './raw-packets.ts';

/** Returns the fields of one packet as another parser reads them. */
export function parsedByOther<T extends mqttPacket.Packet>(bytes: Buffer, version: Version): T {
  const parser = mqttPacket.parser({ protocolVersion: version });
  const packets: mqttPacket.Packet[] = [];
  parser.on('packet', (packet) => packets.push(packet));
  parser.on('error', (error) => assert.fail(`${bytes.toString('hex')}: ${error}`));
  parser.parse(bytes);
  assert.equal(packets.length, 1, bytes.toString('hex'));
  return packets[0] as T;
}
