/** Packets as bytes, written by the tables of the specification and not by the code under test. */

export type Version = 4 | 5;

export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    const byte = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? byte | 128 : byte);
  } while (rest > 0);
  return Buffer.from(bytes);
}

export function uint16(value: number): Buffer {
  return Buffer.of(value >> 8, value & 0xff);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A text or bytes with their length before them. */
export function field(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint16(bytes.length), bytes]);
}

/** The block of properties: each is its identifier and its value. */
export function properties(...fields: readonly (readonly [number, Buffer])[]): Buffer {
  const content = Buffer.concat(fields.map(([id, value]) => Buffer.concat([Buffer.of(id), value])));
  return Buffer.concat([varint(content.length), content]);
}

export function packet(firstByte: number, ...fields: readonly Buffer[]): Buffer {
  const content = Buffer.concat(fields);
  return Buffer.concat([Buffer.of(firstByte), varint(content.length), content]);
}

/** Nothing in 3.1.1, the block (empty by default) in 5. */
function block(version: Version, given: Buffer | undefined): Buffer {
  return version === 5 ? (given ?? properties()) : Buffer.alloc(0);
}

export interface ConnectFields {
  version?: Version;
  name?: string | Buffer;
  level?: number;
  /** Instead of those that follow from the other fields. */
  flags?: number;
  clean?: boolean;
  keepAlive?: number;
  properties?: Buffer;
  clientId?: string | Buffer | undefined;
  will?: { topic: string | Buffer; payload?: string; qos?: number; retain?: boolean; properties?: Buffer };
  userName?: string | Buffer;
  password?: string | Buffer;
  /** Bytes after the last field. */
  rest?: Buffer;
}

export function connect(fields: ConnectFields = {}): Buffer {
  const {
    version = 4,
    name = 'MQTT',
    level = version,
    clean = true,
    keepAlive = 60,
    will,
    userName,
    password,
  } = fields;
  const clientId = 'clientId' in fields ? fields.clientId : 'c1';
  const flags =
    (clean ? 2 : 0) |
    (will === undefined ? 0 : 4 | ((will.qos ?? 0) << 3) | (will.retain === true ? 32 : 0)) |
    (password === undefined ? 0 : 64) |
    (userName === undefined ? 0 : 128);
  return packet(
    0x10,
    field(name),
    Buffer.of(level, fields.flags ?? flags),
    uint16(keepAlive),
    block(version, fields.properties),
    ...(clientId === undefined ? [] : [field(clientId)]),
    ...(will === undefined ? [] : [block(version, will.properties), field(will.topic), field(will.payload ?? 'gone')]),
    ...(userName === undefined ? [] : [field(userName)]),
    ...(password === undefined ? [] : [field(password)]),
    fields.rest ?? Buffer.alloc(0),
  );
}

export interface PublishFields {
  version?: Version;
  topic?: string | Buffer;
  qos?: number;
  packetId?: number;
  dup?: boolean;
  retain?: boolean;
  payload?: string | Buffer;
  properties?: Buffer;
}

export function publish(fields: PublishFields = {}): Buffer {
  const { version = 4, topic = 'a/telemetry', qos = 0, packetId, dup = false, retain = false, payload = 'x' } = fields;
  return packet(
    0x30 | (dup ? 8 : 0) | (qos << 1) | (retain ? 1 : 0),
    field(topic),
    qos > 0 ? uint16(packetId ?? 1) : Buffer.alloc(0),
    block(version, fields.properties),
    Buffer.from(payload),
  );
}

export const firstBytes = { puback: 0x40, pubrec: 0x50, pubrel: 0x62, pubcomp: 0x70 } as const;

export function ack(type: keyof typeof firstBytes, packetId: number, reason?: number): Buffer {
  return packet(firstBytes[type], uint16(packetId), reason === undefined ? Buffer.alloc(0) : Buffer.of(reason));
}

export interface SubscribeFields {
  version?: Version;
  packetId?: number;
  properties?: Buffer;
  /** Each with its options byte. */
  filters?: readonly (readonly [filter: string | Buffer, options: number])[];
  firstByte?: number;
}

export function subscribe(fields: SubscribeFields = {}): Buffer {
  const { version = 4, packetId = 10, filters = [['a/command', 1]], firstByte = 0x82 } = fields;
  const rows = filters.flatMap(([filter, options]) => [field(filter), Buffer.of(options)]);
  return packet(firstByte, uint16(packetId), block(version, fields.properties), ...rows);
}

export interface UnsubscribeFields {
  version?: Version;
  packetId?: number;
  filters?: readonly (string | Buffer)[];
  firstByte?: number;
}

export function unsubscribe(fields: UnsubscribeFields = {}): Buffer {
  const { version = 4, packetId = 11, filters = ['a/command'], firstByte = 0xa2 } = fields;
  return packet(firstByte, uint16(packetId), block(version, undefined), ...filters.map(field));
}

export const pingreq: Buffer = Buffer.of(0xc0, 0);
export const pingresp: Buffer = Buffer.of(0xd0, 0);

/** `reason`: of MQTT 5. */
export function disconnect(reason?: number, block?: Buffer): Buffer {
  if (reason === undefined) return Buffer.of(0xe0, 0);
  return packet(0xe0, Buffer.of(reason), block ?? Buffer.alloc(0));
}

export function connack(
  version: Version,
  options: { code?: number; present?: boolean; properties?: Buffer } = {},
): Buffer {
  const { code = 0, present = false } = options;
  return packet(0x20, Buffer.of(present ? 1 : 0, code), block(version, options.properties));
}

export function suback(version: Version, packetId: number, ...codes: readonly number[]): Buffer {
  return packet(0x90, uint16(packetId), block(version, undefined), Buffer.from(codes));
}

export function unsuback(version: Version, packetId: number, ...codes: readonly number[]): Buffer {
  return packet(
    0xb0,
    uint16(packetId),
    block(version, undefined),
    version === 5 ? Buffer.from(codes) : Buffer.alloc(0),
  );
}

/** A packet that was received. */
export interface RawPacket {
  readonly type: number;
  readonly firstByte: number;
  /** What is behind the fixed header. */
  readonly content: Buffer;
  readonly bytes: Buffer;
}

/** Splits bytes that are expected to be whole packets. */
export function split(bytes: Buffer): RawPacket[] {
  const packets: RawPacket[] = [];
  for (let at = 0; at < bytes.length; ) {
    let length = 0;
    let start = at + 1;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[start++]!;
      length += (byte & 127) * factor;
      if (byte < 128) break;
    }
    const end = start + length;
    packets.push({
      type: bytes[at]! >> 4,
      firstByte: bytes[at]!,
      content: bytes.subarray(start, end),
      bytes: bytes.subarray(at, end),
    });
    at = end;
  }
  return packets;
}

/** Returns packet type and, for an acknowledgment, packet identifier and reason: `puback 1`, `pubrec 2 0x87`. */
export function shortly({ type, content }: RawPacket): string {
  const names = ['', 'connect', 'connack', 'publish', 'puback', 'pubrec', 'pubrel', 'pubcomp', 'subscribe', 'suback'];
  const name = [...names, 'unsubscribe', 'unsuback', 'pingreq', 'pingresp', 'disconnect', 'auth'][type]!;
  const hex = (code: number | undefined) => (code === undefined ? '' : ` 0x${code.toString(16).padStart(2, '0')}`);
  if (type >= 4 && type <= 7) return `${name} ${content.readUInt16BE(0)}${hex(content[2])}`;
  if (type === 14) return `${name}${hex(content[0])}`;
  if (type === 2) return `${name} ${content[0]}${hex(content[1])}`;
  return name;
}
