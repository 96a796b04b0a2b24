import { TailraceError } from '@tailrace/protocol/error';

/**
 * State of the messages of a node.
 * - `unknown`: none came yet. Births of an earlier run may be restored.
 * - `online`: a birth came, and all messages since, in sequence.
 * - `reordering`: a message is missing. Later ones are held, at most `reorderMs`. Only here messages are held.
 * - `unsynchronized`: messages were lost, or no birth came. Each message is processed at once.
 * - `offline`: the node died (NDEATH).
 */
export type NodeState = 'unknown' | 'online' | 'reordering' | 'unsynchronized' | 'offline';

const transitions: Readonly<Record<NodeState, readonly NodeState[]>> = {
  unknown: ['online', 'unsynchronized', 'offline'],
  online: ['online', 'reordering', 'unsynchronized', 'offline'],
  reordering: ['online', 'reordering', 'unsynchronized', 'offline'],
  unsynchronized: ['online', 'unsynchronized', 'offline'],
  offline: ['online', 'unsynchronized', 'offline'],
};

/** Throws `internal` unless `to` may follow `from`. */
export function assertNodeTransition(from: NodeState, to: NodeState): void {
  if (transitions[from].includes(to)) return;
  const expected = transitions[from].join(' or ');
  throw new TailraceError('internal', `Sparkplug node: expected ${expected} after ${from}, got ${to}`);
}
