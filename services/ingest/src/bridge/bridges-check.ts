import { shown } from '@tailrace/protocol/error';
import type { Report } from '@tailrace/protocol/report';
import type { Grant } from '../intake/record-from.ts';
import { bridgeGrant } from './bridge-grant.ts';
import type { BridgeSettings, SubscriptionSettings } from './bridge-settings.ts';
import { MessageMapper } from './message-mapper.ts';

/**
 * Returns what becomes of the sample messages of a file of bridges, for the person who writes it: of each subscription
 * the reports, or the reason of the dead letter.
 */
export function bridgesText(bridges: readonly BridgeSettings[]): string {
  return bridges.map(bridgeText).join('\n');
}

function bridgeText(bridge: BridgeSettings): string {
  const { name, url, version, share, subscriptions, sparkplug, publish } = bridge;
  const shared = share === '' ? 'not shared' : `shared as ${share}`;
  const lines = [
    `bridge ${name}: ${url}, MQTT ${version === 5 ? '5' : '3.1.1'}, ${shared}, may publish ${publish.join(', ')}`,
  ];
  if (sparkplug !== undefined) lines.push(`  Sparkplug B as ${sparkplug.role} host, devices below ${sparkplug.prefix}`);
  const grant = bridgeGrant(name, publish);
  for (const subscription of subscriptions) lines.push(...subscriptionLines(subscription, grant));
  return `${lines.join('\n')}\n`;
}

function subscriptionLines(subscription: SubscriptionSettings, grant: Grant): string[] {
  const { filter, qos, map, samples } = subscription;
  const mapper = new MessageMapper([subscription]);
  const lines = [`  ${filter} at QoS ${qos}, payload ${map.payload}`];
  if (samples.length === 0) lines.push('    no samples: add some to the subscription, to see what becomes of them');
  for (const { topic, payload } of samples) {
    lines.push(`    ${topic} ${payload}`);
    const mapped = mapper.map({ topic, payload: Buffer.from(payload), contentType: undefined, id: undefined });
    for (const report of mapped.reports) lines.push(`      ${reportLine(report, grant)}`);
    for (const { reason, message } of mapped.rejected) lines.push(`      dead letter ${reason}: ${message}`);
  }
  return lines;
}

function reportLine(report: Report, { allowsDevice, covers }: Grant): string {
  const { device, time } = report;
  if (!allowsDevice(device)) return `dead letter forbidden: ${shown(device)} is not covered: ${covers}`;
  // 0 is replaced by the time of receipt.
  return `report ${JSON.stringify(time === 0 ? { ...report, time: undefined } : report)}`;
}
