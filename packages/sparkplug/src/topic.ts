import { shown, TailraceError } from '@tailrace/protocol/error';
import { isPlainText } from '@tailrace/protocol/text';
import { sparkplugLimits } from './limits.ts';

export const namespace = 'spBv1.0';

/** Messages of a node about itself, and of a node about a device. */
export const nodeMessageTypes = ['NBIRTH', 'NDATA', 'NDEATH', 'NCMD'] as const;
export const deviceMessageTypes = ['DBIRTH', 'DDATA', 'DDEATH', 'DCMD'] as const;

export type NodeMessageType = (typeof nodeMessageTypes)[number];
export type DeviceMessageType = (typeof deviceMessageTypes)[number];
export type MessageType = NodeMessageType | DeviceMessageType;

/** Topic of a message from or to a node. */
export interface NodeTopic {
  readonly type: MessageType;
  readonly group: string;
  readonly node: string;
  /** Present if the type is one of `deviceMessageTypes`. */
  readonly device?: string;
}

/** Topic of the state of a host. */
export interface StateTopic {
  readonly type: 'STATE';
  readonly host: string;
}

const isNodeType = (type: string): type is NodeMessageType => (nodeMessageTypes as readonly string[]).includes(type);
const isDeviceType = (type: string): type is DeviceMessageType =>
  (deviceMessageTypes as readonly string[]).includes(type);

/**
 * Parses a topic: `spBv1.0/<group>/<type>/<node>`, with `/<device>` for the types of devices, or
 * `spBv1.0/STATE/<host>`. Throws `invalid_message` for any other.
 */
export function parseTopic(topic: string): NodeTopic | StateTopic {
  // No valid topic is longer: four IDs, the namespace, a type and the slashes.
  if (topic.length > 4 * sparkplugLimits.idCharactersMax) throw unknownTopic(topic, 'it is too long');
  const levels = topic.split('/');
  if (levels[0] !== namespace) {
    const reason = levels[0] === 'spAv1.0' ? 'Sparkplug A is not supported' : `it does not start with ${namespace}/`;
    throw unknownTopic(topic, reason);
  }
  if (levels[1] === 'STATE' && levels.length === 3) return { type: 'STATE', host: idFrom(levels[2]!, 'host', topic) };
  const [, group = '', type = '', node = '', device] = levels;
  if (levels.length > 5) throw unknownTopic(topic, `it has ${levels.length} levels`);
  if (isNodeType(type)) {
    if (device !== undefined) throw unknownTopic(topic, `${type} is about a node and has no device`);
    return { type, group: idFrom(group, 'group', topic), node: idFrom(node, 'node', topic) };
  }
  if (!isDeviceType(type)) throw unknownTopic(topic, `${shown(type)} is no message type`);
  if (device === undefined) throw unknownTopic(topic, `${type} needs a device`);
  return {
    type,
    group: idFrom(group, 'group', topic),
    node: idFrom(node, 'node', topic),
    device: idFrom(device, 'device', topic),
  };
}

/** Returns the key of an edge node in maps. IDs contain no slash. */
export function nodeKey(group: string, node: string): string {
  return `${group}/${node}`;
}

/** Returns the topic of a node or device. Throws `invalid_message` for an ID that no topic may have. */
export function topicOf({ type, group, node, device }: NodeTopic): string {
  const topic = `${namespace}/${group}/${type}/${node}${device === undefined ? '' : `/${device}`}`;
  parseTopic(topic);
  return topic;
}

/** Returns the topic of the state of a host. Throws `invalid_message` for an ID that no topic may have. */
export function stateTopicOf(host: string): string {
  const topic = `${namespace}/STATE/${host}`;
  parseTopic(topic);
  return topic;
}

function idFrom(text: string, name: string, topic: string): string {
  const { idCharactersMax } = sparkplugLimits;
  const isId = text.length > 0 && text.length <= idCharactersMax && isPlainText(text) && !/[+#/]/.test(text);
  if (isId) return text;
  throw unknownTopic(
    topic,
    `the ${name} ID has 1 to ${idCharactersMax} characters without "+", "#" and control characters`,
  );
}

function unknownTopic(topic: string, reason: string): TailraceError {
  return new TailraceError(
    'invalid_message',
    `Sparkplug topic: expected ${namespace}/<group>/<type>/<node> or ${namespace}/<group>/<type>/<node>/<device>, ` +
      `got ${shown(topic)}: ${reason}`,
  );
}
