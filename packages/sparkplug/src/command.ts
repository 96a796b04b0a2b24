import { shown, TailraceError } from '@tailrace/protocol/error';
import type { Reading } from '@tailrace/protocol/report';
import { dataTypes } from './data-type.ts';
import { metricFields } from './metric-fields.ts';
import { type MetricTable, rebirthName } from './metric-table.ts';
import type { OutboundMessage } from './outbound-message.ts';
import { encodePayload, type Metric } from './payload.ts';
import { topicOf } from './topic.ts';

/** The node or device of a command, by its original IDs. */
export interface CommandTarget {
  readonly group: string;
  readonly node: string;
  /** undefined: the node itself. */
  readonly device?: string | undefined;
}

/** A metric to write. */
export interface CommandValue {
  readonly name: string;
  readonly value: Reading['value'];
}

/**
 * Returns the command that writes metrics: NCMD for a node, DCMD for a device; QoS 0, not retained, without sequence
 * number. A metric is named by its alias where the birth has one. It has its data type, although the specification
 * advises against that (tck-id-payloads-metric-datatype-not-req): pysparkplug and Eclipse Tahu cannot read it without.
 * Throws `not_found` for a name that the birth lacks, `invalid_message` for a value that does not fit its data type.
 */
export function commandMessage(
  target: CommandTarget,
  table: MetricTable,
  values: readonly CommandValue[],
  nowMs: number,
): OutboundMessage {
  if (values.length === 0)
    throw new TailraceError('invalid_message', 'command: expected at least one metric to write, got none');
  return message(
    target,
    values.map((value) => commandMetric(table, value, nowMs)),
    nowMs,
  );
}

/**
 * Returns the request for the births of a node and its devices. The metric is named: it has no alias for a host that
 * does not know the birth.
 */
export function rebirthMessage({ group, node }: CommandTarget, nowMs: number): OutboundMessage {
  return message({ group, node }, [rebirthMetric(nowMs)], nowMs);
}

function message(target: CommandTarget, metrics: Metric[], nowMs: number): OutboundMessage {
  const { group, node, device } = target;
  const topic = topicOf(device === undefined ? { type: 'NCMD', group, node } : { type: 'DCMD', group, node, device });
  return { topic, payload: encodePayload({ timestamp: nowMs, metrics }), qos: 0, retain: false };
}

function commandMetric(table: MetricTable, { name, value }: CommandValue, nowMs: number): Metric {
  if (name === rebirthName) return rebirthMetric(nowMs);
  const definition = table.byName(name);
  if (definition === undefined) {
    const similar = table.similarName(name);
    const advice = similar === undefined ? '' : `; it has ${shown(similar)}`;
    throw new TailraceError('not_found', `command: expected a metric of the birth, got ${shown(name)}${advice}`);
  }
  const { alias, dataType } = definition;
  const fields = metricFields(name, dataType, value);
  return { ...(alias === undefined ? { name } : { alias }), timestamp: nowMs, datatype: dataType, ...fields };
}

function rebirthMetric(nowMs: number): Metric {
  return { name: rebirthName, timestamp: nowMs, datatype: dataTypes.boolean, booleanValue: true };
}
