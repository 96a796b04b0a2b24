/*
 * The bus subjects of commands (docs/PROTOCOL.md, "Commands"), for ingest nodes and requesters. Apart from those of
 * sessions, so that a server of the bus can restrict who sends commands.
 */

/** Any ingest node replies: with the outcome, or with the node that has the device. */
export const anyCommandSubject = 'tailrace.v1.command';

/** `node`: one token. */
export function commandSubject(node: string): string {
  return `tailrace.v1.command.${node}`;
}

/** Outcomes of the commands of a device, whose path has the form of tokens. */
export function outcomeSubject(device: string): string {
  return `tailrace.v1.outcome.${device}`;
}

/** Outcomes of all devices. */
export const outcomePattern = 'tailrace.v1.outcome.>';
