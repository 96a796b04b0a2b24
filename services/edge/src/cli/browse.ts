import { shown, TailraceError } from '@tailrace/protocol/error';
import { isDevicePath } from '@tailrace/protocol/path';
import { browseTags, objectsFolder } from '../opcua/browse.ts';
import { isNodeId } from '../opcua/node-id.ts';
import type { OpcuaEndpoint } from '../opcua/opcua-client.ts';
import type { OpcuaConnector } from '../opcua/opcua-port.ts';
import { tagsMax } from '../sources-file.ts';
import { integerOption } from './integer-option.ts';

export interface BrowseCommand {
  readonly root?: string | undefined;
  readonly depth?: string | undefined;
  readonly max?: string | undefined;
  readonly prefix?: string | undefined;
}

const depthDefault = 10;
const depthMax = 50;
const prefixDefault = 'plant1';
const writableMax = 20;

/**
 * Resolves with the address space of a server as a sources file, and with notes for people. The file is to be edited:
 * it has every variable, none of which can be written.
 */
export async function browse(
  endpoint: OpcuaEndpoint,
  connector: OpcuaConnector,
  command: BrowseCommand,
): Promise<{ readonly file: string; readonly notes: string }> {
  const { root = objectsFolder, prefix = prefixDefault } = command;
  if (!isNodeId(root)) {
    throw new TailraceError('invalid_config', `--root: expected a node as in nsu=urn:plc;s=Boiler, got ${shown(root)}`);
  }
  if (!isDevicePath(prefix)) {
    throw new TailraceError('invalid_config', `--prefix: expected a device path as in plant1, got ${prefix}`);
  }
  const channel = await connector.open(undefined, () => {});
  try {
    const { tags, writable, nodes, leftOut, isPartial } = await browseTags(channel, {
      root,
      depthMax: integerOption('--depth', command.depth, depthDefault, depthMax),
      nodesMax: integerOption('--max', command.max, tagsMax, 1_000_000),
      prefix,
    });
    const { endpoint: url, security, mode, user, passwordFile } = endpoint;
    const opcua = {
      endpoint: url,
      security,
      ...(security !== 'None' && { mode }),
      ...(user !== undefined && { user }),
      ...(passwordFile !== undefined && { passwordFile }),
    };
    const notes = [`${tags.length} tags of ${nodes} nodes`];
    for (const [reason, count] of leftOut) notes.push(`left out: ${count} × ${reason}`);
    if (isPartial) notes.push('there may be more nodes: see --max, --depth and --root');
    if (writable.length > 0) {
      notes.push(`${writable.length} can be written. To allow it, add "write": {"min": …, "max": …} to the tag:`);
      for (const { device, tag } of writable.slice(0, writableMax)) notes.push(`  ${device} ${tag}`);
      if (writable.length > writableMax) notes.push(`  and ${writable.length - writableMax} more`);
    }
    return { file: fileText(opcua, tags), notes: `${notes.join('\n')}\n` };
  } finally {
    await channel.close();
  }
}

/** One tag a line, so that a person can edit it. */
function fileText(opcua: object, tags: readonly object[]): string {
  const lines = tags.map((tag) => `      ${JSON.stringify(tag)}`).join(',\n');
  return `{"sources": [
  {"name": "opcua",
    "opcua": ${JSON.stringify(opcua)},
    "tags": [
${lines}
    ]}
]}
`;
}
