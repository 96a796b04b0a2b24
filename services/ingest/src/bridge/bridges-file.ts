import { assertTopicFilter } from '@tailrace/mqtt/topic';
import { type AddError, parseSchemaFile, schemaFileText } from '@tailrace/platform/schema-file';
import { TailraceError } from '@tailrace/protocol/error';
import {
  type BridgeSettings,
  bridgesFileSchema,
  type SubscriptionSettings,
  type WrittenBridge,
} from './bridge-settings.ts';
import { MessageMapper } from './message-mapper.ts';
import { filtersOverlap } from './topic-filters.ts';

const fileName = 'mqttBridgesFile';

/**
 * Parses the file of bridges. Throws `invalid_config` with all errors, one a line: the path of the field, what was
 * expected, and the value. Unknown keys are errors.
 */
export function bridgesFrom(text: string): readonly BridgeSettings[] {
  const { bridges } = parseSchemaFile(fileName, bridgesFileSchema, text, (content, add) => check(content.bridges, add));
  return bridges.map((bridge) => ({ ...bridge, share: shareOf(bridge) }));
}

/** Reads and parses the file of bridges; none without a path. Throws `invalid_config`, also if it cannot be read. */
export function readBridgesFile(filePath: string): readonly BridgeSettings[] {
  return filePath === '' ? [] : bridgesFrom(schemaFileText(fileName, filePath));
}

/** Host, port and TLS of a broker's URL. */
export function brokerAddressOf(url: string): { host: string; port: number; isTls: boolean } {
  const { protocol, hostname, port } = new URL(url);
  const isTls = protocol === 'mqtts:';
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || (isTls ? 8883 : 1883)), isTls };
}

/** MQTT 3.1.1 has no shared subscriptions. */
function shareOf({ version, share }: WrittenBridge): string {
  return share ?? (version === 5 ? 'tailrace' : '');
}

function check(bridges: readonly WrittenBridge[], add: AddError): void {
  const names = new Set<string>();
  for (const [index, bridge] of bridges.entries()) {
    const at = ['bridges', index];
    const { name, subscriptions, sparkplug, tls, url, version, share, passwordFile, username, node } = bridge;
    if (names.has(name)) add([...at, 'name'], `expected each name once, got ${name} again`);
    names.add(name);
    if (subscriptions.length === 0 && sparkplug === undefined)
      add(at, 'expected subscriptions, sparkplug, or both, got neither');
    if (version === 4 && (share ?? '') !== '')
      add([...at, 'share'], 'expected none with version 4: MQTT 3.1.1 has no shared subscriptions');
    if (subscriptions.length > 0 && shareOf(bridge) === '' && node === undefined)
      add(
        [...at, 'node'],
        'expected the ingest node that runs the bridge, by its setting node: without a share each node would take every message',
      );
    if ((tls.certFile === undefined) !== (tls.keyFile === undefined))
      add([...at, 'tls'], 'expected certFile and keyFile together');
    if (Object.keys(tls).length > 0 && !url.startsWith('mqtts:'))
      add([...at, 'tls'], 'expected it with an mqtts:// url only: nothing is encrypted otherwise');
    if (passwordFile !== undefined && username === undefined)
      add([...at, 'username'], 'expected one with passwordFile');
    checkSubscriptions(bridge, [...at, 'subscriptions'], add);
  }
}

function checkSubscriptions(
  { subscriptions, sparkplug }: WrittenBridge,
  at: readonly PropertyKey[],
  add: AddError,
): void {
  for (const [index, subscription] of subscriptions.entries()) {
    const { filter, map } = subscription;
    const own = [...at, index];
    try {
      assertTopicFilter(filter, 4);
    } catch (error) {
      add([...own, 'filter'], (error as Error).message.replace(/^topic filter: /, ''));
      continue;
    }
    if (filter.startsWith('$share/')) add([...own, 'filter'], 'expected it without $share: the bridge adds the share');
    if (filter.startsWith('spBv1.0/') || (sparkplug !== undefined && filtersOverlap(filter, 'spBv1.0/#')))
      add([...own, 'filter'], 'expected none with topics of Sparkplug: the setting sparkplug takes them');
    const overlapping = subscriptions.findIndex(
      (other, place) => place < index && filtersOverlap(other.filter, filter),
    );
    if (overlapping >= 0) {
      const other = subscriptions[overlapping]!.filter;
      add([...own, 'filter'], `expected no overlap with ${other}: a broker may send a message once for each`);
    }
    if (map.payload === 'json' && (map.value === undefined) !== (map.tag === undefined))
      add([...own, 'map'], 'expected value and tag together');
    if (map.payload === 'json' && map.value !== undefined && (map.only !== undefined || map.units !== undefined))
      add([...own, 'map'], 'expected neither only nor units with value');
    checkTemplates(subscription, own, add);
  }
}

function checkTemplates(subscription: SubscriptionSettings, at: readonly PropertyKey[], add: AddError): void {
  try {
    new MessageMapper([subscription]);
  } catch (error) {
    if (!(error instanceof TailraceError)) throw error;
    add([...at, 'map'], error.message);
  }
}
