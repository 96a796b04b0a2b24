/** The bus subjects of the ingest nodes (docs/PROTOCOL.md, "NATS"). */
export const announcementSubject = 'tailrace.v1.ingest-node';
export const noncesSubject = 'tailrace.v1.session-nonces';
/** Any node replies. */
export const anyNodeSubject = 'tailrace.v1.ingest';
/** The claims of all devices: one subscription for each node, because the bus has a limit of subscriptions. */
export const claimPattern = 'tailrace.v1.session.>';

/** A device path has the form of subject tokens. */
export function claimSubject(device: string): string {
  return `tailrace.v1.session.${device}`;
}

export function nodeSubject(node: string): string {
  return `tailrace.v1.ingest.${node}`;
}
