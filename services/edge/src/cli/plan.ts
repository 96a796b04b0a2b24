import type { ModbusSource } from '../modbus/modbus-source.ts';
import type { PollGroup } from '../modbus/poll-group.ts';
import { gapLength } from '../modbus/read-plan.ts';
import { entityNumber } from '../modbus/register-address.ts';
import { ModbusUnit } from '../modbus/unit.ts';
import type { Sources } from '../sources-file.ts';

/** Returns the read requests of each source as a text: which tags share a request, and what is read needlessly. */
export function planText({ sources }: Sources): string {
  return sources.map(sourceText).join('\n');
}

function sourceText({ name, modbus, units, tags }: ModbusSource): string {
  const lines = [`${name}: Modbus ${modbus.framing} ${modbus.host}:${modbus.port}`];
  for (const options of units) {
    const { groups, unit } = unitOf(options);
    for (const group of groups) {
      lines.push(groupLine(unit, group));
      for (const block of group.blocks) {
        const { start, length, items } = block;
        const unused = gapLength(block);
        const names = items.map(({ index }) => tags[options.tags[index]!.tag]!.tag);
        const range = length === 1 ? `${start}` : `${start} to ${start + length - 1}`;
        const what = `${length} read, ${unused} unused`;
        lines.push(`    ${range} (${entityNumber(start, group.table)}): ${what}: ${shortened(names)}`);
      }
    }
  }
  return `${lines.join('\n')}\n`;
}

function groupLine(unit: number, { table, pollMs, blocks }: PollGroup): string {
  const requests = blocks.length === 1 ? '1 request' : `${blocks.length} requests`;
  return `  unit ${unit}, ${table}, every ${pollMs} ms: ${requests}`;
}

/** Returns the unit as the gateway would poll it, without a connection. */
function unitOf(options: ModbusSource['units'][number]): ModbusUnit {
  return new ModbusUnit({
    ...options,
    timeoutMs: 0,
    hasTransactions: true,
    send: () => Promise.resolve({ kind: 'disconnected' }),
    onReady: () => {},
    sink: () => {},
    clock: noClock,
    random: () => 0,
  });
}

const noTimer = { cancel: () => {} };
const noClock = {
  now: () => 0,
  monotonic: () => 0,
  after: () => noTimer,
  every: () => noTimer,
  sleep: () => Promise.resolve(),
};

const namesMax = 8;

function shortened(names: readonly string[]): string {
  const first = names.slice(0, namesMax).join(', ');
  return names.length > namesMax ? `${first} and ${names.length - namesMax} more` : first;
}
