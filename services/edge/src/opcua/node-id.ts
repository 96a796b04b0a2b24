/** `nsu=urn:plc;s=Boiler.T`, `ns=2;i=1001`, `i=2258`. Part 6, 5.3.1.10. */
const nodePattern =
  /^(?:nsu=([^;]{1,500});|ns=(\d{1,5});)?((?:i=\d{1,10})|(?:s=.{1,1000})|(?:g=[0-9a-fA-F-]{36})|(?:b=[A-Za-z0-9+/=]{1,1000}))$/s;

export function isNodeId(text: string): boolean {
  return nodePattern.test(text);
}

/**
 * Returns the node with the index of its namespace, which changes with the configuration of the server; undefined if
 * the server does not have the namespace.
 */
export function resolvedNode(node: string, namespaces: readonly string[]): string | undefined {
  const [, uri, index, identifier] = nodePattern.exec(node) ?? [];
  if (identifier === undefined) return undefined;
  if (uri === undefined) return `ns=${index ?? 0};${identifier}`;
  const found = namespaces.indexOf(uri);
  return found < 0 ? undefined : `ns=${found};${identifier}`;
}

/** Returns the node with the URI of its namespace, where it has one. */
export function portableNode(node: string, namespaces: readonly string[]): string {
  const [, , index, identifier] = nodePattern.exec(node) ?? [];
  if (identifier === undefined || index === undefined || index === '0') return identifier ?? node;
  const uri = namespaces[Number(index)];
  return uri === undefined ? node : `nsu=${uri};${identifier}`;
}
