/** The bus subjects of the fanout tier (docs/PROTOCOL.md, "NATS"). */
export const announcementSubject = 'tailrace.v1.node';

export function relaySubject(partition: number): string {
  return `tailrace.v1.relay.${partition}`;
}

/** A node's name is one subject token: config allows letters, digits, `_` and `-` only. */
export function ownerSubject(node: string): string {
  return `tailrace.v1.owner.${node}`;
}

/** Frames of the events of a partition: apart from readings, which would delay them. */
export function eventSubject(partition: number): string {
  return `tailrace.v1.events.${partition}`;
}

/** Requests to control; one of its processes replies. */
export const controlSubject = 'tailrace.v1.control';
