import type { ConnectPacket } from './codec.ts';
import type { QoS } from './publish.ts';
import { MqttError, type MqttVersion, mqttReasons } from './reason.ts';

/** A message that the server publishes for a client whose connection was lost. */
export interface Will {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: QoS;
  readonly retain: boolean;
  /** Seconds after the close, at most those of the session. */
  readonly delaySeconds: number;
  readonly contentType: string | undefined;
  /** Whether the payload is text by its Payload Format Indicator. */
  readonly isText: boolean;
  /** The user property `id`. */
  readonly id: string | undefined;
  /** The user property `traceparent`. */
  readonly traceparent: string | undefined;
}

/** What a client asks for in CONNECT, and the server grants of it. */
export interface ConnectRequest {
  readonly version: MqttVersion;
  readonly clientId: string;
  /** Whether the client has sent no client ID. */
  readonly isAssigned: boolean;
  /** Clean Start of MQTT 5, Clean Session of 3.1.1. */
  readonly cleanStart: boolean;
  readonly userName: string | undefined;
  readonly password: Buffer | undefined;
  readonly will: Will | undefined;
  /** As sent; 0: none. */
  readonly keepAliveSeconds: number;
  /** As sent; of MQTT 3.1.1 the limit, or 0 with a clean session. */
  readonly sessionExpirySeconds: number;
  readonly receiveMaximum: number;
  readonly packetBytesMax: number;
  readonly withReasonStrings: boolean;
}

export interface ConnectLimits {
  readonly clientIdBytesMax: number;
  readonly userNameBytesMax: number;
  readonly passwordBytesMax: number;
  readonly willBytesMax: number;
  readonly sessionExpirySecondsMax: number;
  readonly newClientId: () => string;
}

const receiveMaximumDefault = 65_535;

/** Returns the request of a checked CONNECT packet. Throws MqttError where the server refuses it by its limits. */
export function connectRequestFrom(packet: ConnectPacket, version: MqttVersion, limits: ConnectLimits): ConnectRequest {
  const { clean = false, keepalive = 0, username, password, properties = {} } = packet;
  if (properties.authenticationMethod !== undefined) {
    throw new MqttError(mqttReasons.badAuthenticationMethod, 'authentication method: expected none, got one');
  }
  assertBytes('user name', Buffer.byteLength(username ?? ''), limits.userNameBytesMax);
  assertBytes('password', password?.length ?? 0, limits.passwordBytesMax);
  const isAssigned = packet.clientId === '';
  if (!isAssigned) assertClientId(packet.clientId, limits.clientIdBytesMax);
  else if (version === 4 && !clean) {
    throw new MqttError(mqttReasons.clientIdInvalid, 'client ID: expected one with clean session 0, got none');
  }
  return {
    version,
    clientId: isAssigned ? limits.newClientId() : packet.clientId,
    isAssigned,
    cleanStart: clean,
    userName: username,
    // A copy: the packet is a view of what the wire has read.
    password: password === undefined ? undefined : Buffer.from(password),
    will: packet.will === undefined ? undefined : willFrom(packet.will, limits.willBytesMax),
    keepAliveSeconds: keepalive,
    sessionExpirySeconds:
      version === 5 ? (properties.sessionExpiryInterval ?? 0) : clean ? 0 : limits.sessionExpirySecondsMax,
    receiveMaximum: properties.receiveMaximum ?? receiveMaximumDefault,
    packetBytesMax: properties.maximumPacketSize ?? Number.POSITIVE_INFINITY,
    withReasonStrings: properties.requestProblemInformation ?? true,
  };
}

function assertBytes(what: string, bytes: number, bytesMax: number): void {
  if (bytes <= bytesMax) return;
  throw new MqttError(mqttReasons.badUserNameOrPassword, `${what}: expected at most ${bytesMax} bytes, got ${bytes}`);
}

function assertClientId(clientId: string, bytesMax: number): void {
  const bytes = Buffer.byteLength(clientId);
  if (bytes > bytesMax) {
    throw new MqttError(mqttReasons.clientIdInvalid, `client ID: expected at most ${bytesMax} bytes, got ${bytes}`);
  }
  if (/\p{Cc}/u.test(clientId)) {
    throw new MqttError(mqttReasons.clientIdInvalid, 'client ID: expected no control character');
  }
}

function willFrom(will: NonNullable<ConnectPacket['will']>, bytesMax: number): Will {
  const { topic, qos = 0, retain = false, properties = {} } = will;
  const payload = Buffer.from(will.payload);
  if (payload.length > bytesMax) {
    throw new MqttError(mqttReasons.quotaExceeded, `will: expected at most ${bytesMax} bytes, got ${payload.length}`);
  }
  const { userProperties = {} } = properties;
  const property = (name: string) => {
    const value = Object.hasOwn(userProperties, name) ? userProperties[name] : undefined;
    return Array.isArray(value) ? value[0] : value;
  };
  return {
    topic,
    payload,
    qos,
    retain,
    delaySeconds: properties.willDelayInterval ?? 0,
    contentType: properties.contentType,
    isText: properties.payloadFormatIndicator === true,
    id: property('id'),
    traceparent: property('traceparent'),
  };
}
