import type { OpcuaChannel } from './opcua-port.ts';

/** What a session needs to know of its server. */
export interface ServerInfo {
  /** URIs, in the order of their indices. */
  readonly namespaces: readonly string[];
  /** Most nodes of a read, and most items of a call; undefined: the server reports no limit. */
  readonly nodesPerRead: number | undefined;
  readonly itemsPerCall: number | undefined;
}

/** Of Part 5: Server.NamespaceArray, and MaxNodesPerRead and MaxMonitoredItemsPerCall of its operation limits. */
const namespaceArrayNode = 'i=2255';
const nodesPerReadNode = 'i=11705';
const itemsPerCallNode = 'i=11714';

/** Reads the namespaces and the limits of the server. Rejects as `channel.read` does. */
export async function readServer(channel: OpcuaChannel): Promise<ServerInfo> {
  const [namespaces, nodesPerRead, itemsPerCall] = await channel.read([
    { node: namespaceArrayNode },
    { node: nodesPerReadNode },
    { node: itemsPerCallNode },
  ]);
  const uris = namespaces?.value?.value;
  return {
    namespaces: Array.isArray(uris) ? uris.map(String) : [],
    nodesPerRead: numberFrom(nodesPerRead?.value?.value),
    itemsPerCall: numberFrom(itemsPerCall?.value?.value),
  };
}

/** Returns a positive number, undefined for anything else: a server may report 0 or nothing. */
function numberFrom(value: unknown): number | undefined {
  return typeof value === 'number' && value > 0 ? value : undefined;
}
