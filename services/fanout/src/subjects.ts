/** The bus subjects of the fanout tier (docs/PROTOCOL.md, "NATS"). */
export const announcementSubject = 'tailrace.v1.node';

export function relaySubject(partition: number): string {
  return `tailrace.v1.relay.${partition}`;
}

/** A node's name is one subject token: config allows letters, digits, `_` and `-` only. */
export function ownerSubject(node: string): string {
  return `tailrace.v1.owner.${node}`;
}
