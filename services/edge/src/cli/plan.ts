import type { ModbusSource } from '../modbus/modbus-source.ts';
import type { PollGroup } from '../modbus/poll-group.ts';
import { gapLength } from '../modbus/read-plan.ts';
import { entityNumber } from '../modbus/register-address.ts';
import { ModbusUnit } from '../modbus/unit.ts';
import type { OpcuaSource } from '../opcua/opcua-source.ts';
import { serverProfiles } from '../opcua/server-profile.ts';
import { queueOf, sampleMsOf, subscriptionPlan } from '../opcua/subscription-plan.ts';
import type { Sources } from '../sources-file.ts';

/**
 * Returns what each source asks of its devices, as a text: which tags share a request or a subscription, and what is
 * read needlessly.
 */
export function planText({ sources }: Sources): string {
  return sources.map((source) => ('opcua' in source ? opcuaText(source) : modbusText(source))).join('\n');
}

function opcuaText({ name, opcua, tags }: OpcuaSource): string {
  const { endpoint, security, mode, profile: profileName, publishMs } = opcua;
  const profile = serverProfiles[profileName];
  const { subscriptions, left } = subscriptionPlan(tags, publishMs, profile);
  const lines = [`${name}: OPC UA ${endpoint}, ${security === 'None' ? security : `${security} ${mode}`}`];
  lines.push(`  profile ${profileName}: ${profile.chunk} items a call, ${profile.itemsPerSubscription} a subscription`);
  for (const [index, { tags: members }] of subscriptions.entries()) {
    const count = members.length === 1 ? '1 tag' : `${members.length} tags`;
    lines.push(`  subscription ${index + 1}, published every ${publishMs} ms: ${count}`);
    const groups = Map.groupBy(members, (tag) => {
      const options = tags[tag]!;
      return `    sampled every ${sampleMsOf(options, profile)} ms, queue ${queueOf(options, publishMs, profile)}`;
    });
    for (const [group, each] of groups) lines.push(`${group}: ${shortened(each.map((tag) => tags[tag]!.tag))}`);
  }
  if (left.length > 0) lines.push(`  ${left.length} tags have no place, and will be bad: no_subscription_left`);
  return `${lines.join('\n')}\n`;
}

function modbusText({ name, modbus, units, tags }: ModbusSource): string {
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
