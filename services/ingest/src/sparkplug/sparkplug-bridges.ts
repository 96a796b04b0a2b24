import type { Clock } from '@tailrace/platform/clock';
import type { BridgeSettings } from '../bridge/bridge-settings.ts';
import { bridgeClientId } from '../bridge/bridges.ts';
import { createBrokerClient } from '../bridge/broker-client.ts';
import type { SparkplugBridge } from './sparkplug.ts';

interface ClientContext {
  /** Name of this node of ingest. */
  readonly node: string;
  readonly clock: Clock;
  readonly random: () => number;
}

/**
 * Returns the brokers with Sparkplug edge nodes, of those that are for this node of ingest. A host has the client ID of
 * the bridge with a suffix: both are connected at once.
 */
export function sparkplugBridgesFrom(
  settings: readonly BridgeSettings[],
  { node, clock, random }: ClientContext,
): readonly SparkplugBridge[] {
  return settings.flatMap((broker) => {
    const { name, publish, sparkplug, receiveMaximum } = broker;
    if (sparkplug === undefined || (broker.node !== undefined && broker.node !== node)) return [];
    return {
      ...{ name, publish, sparkplug, clientId: `${bridgeClientId(broker, node)}-sparkplug` },
      createClient: (options, handlers) =>
        createBrokerClient({ broker, ...options, receiveMaximum, clock, random }, handlers),
    };
  });
}
