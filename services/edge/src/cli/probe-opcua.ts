import { shown, TailraceError } from '@tailrace/protocol/error';
import { isNodeId, portableNode, resolvedNode } from '../opcua/node-id.ts';
import type { OpcuaConnector } from '../opcua/opcua-port.ts';
import { dataTypes, qualityOf, timeFrom, valueFrom } from '../opcua/value.ts';

const namespaceArrayNode = 'i=2255';
const displayNameAttribute = 4;
const valueAttribute = 13;
const accessLevelAttribute = 18;

/** Resolves with one node: its value as a reading, type, status, times, and whether it can be written. */
export async function probeOpcua(connector: OpcuaConnector, nodeText: string | undefined): Promise<string> {
  if (nodeText === undefined || !isNodeId(nodeText)) {
    const expected = 'expected a node as in ns=2;i=1001 or nsu=urn:plc;s=Boiler.T';
    throw new TailraceError('invalid_config', `--node: ${expected}, got ${shown(nodeText ?? 'none')}`);
  }
  const channel = await connector.open(undefined, () => {});
  try {
    const [array] = await channel.read([{ node: namespaceArrayNode }]);
    const namespaces = Array.isArray(array?.value?.value) ? array.value.value.map(String) : [];
    const node = resolvedNode(nodeText, namespaces);
    if (node === undefined)
      return `the server does not have the namespace of ${nodeText}; it has ${namespaces.join(', ')}\n`;
    const [value, name, access] = await channel.read([
      { node, attribute: valueAttribute },
      { node, attribute: displayNameAttribute },
      { node, attribute: accessLevelAttribute },
    ]);
    if (value === undefined) return 'the server sent no result\n';
    const { value: reading, reason } = valueFrom(value.value, {}, { inexact: 0 });
    const level = Number(access?.value?.value ?? 0);
    const type = value.value?.dataType ?? 0;
    const typeName = Object.entries(dataTypes).find(([, number]) => number === type)?.[0] ?? `number ${type}`;
    const shape = (value.value?.arrayType ?? 0) === 0 ? '' : ', an array';
    const lines = [
      ['node', portableNode(node, namespaces)],
      ['name', (name?.value?.value as { text?: string } | undefined)?.text ?? ''],
      ['value', reading === undefined ? `none (${reason ?? 'no_value'})` : shown(reading)],
      ['type', `${typeName}${shape}`],
      ['status', `${value.statusCode.name}, quality ${qualityOf(value.statusCode.value)}`],
      ['source time', timeText(timeFrom(value.sourceTimestamp, value.sourcePicoseconds))],
      ['server time', timeText(timeFrom(value.serverTimestamp, value.serverPicoseconds))],
      [
        'access',
        `${(level & 1) === 0 ? 'not readable' : 'readable'}, ${(level & 2) === 0 ? 'not writable' : 'writable'}`,
      ],
    ];
    return `${lines.map(([what, text]) => `${what!.padEnd(12)} ${text}`).join('\n')}\n`;
  } finally {
    await channel.close();
  }
}

function timeText(ms: number | undefined): string {
  return ms === undefined ? 'none' : new Date(ms).toISOString();
}
