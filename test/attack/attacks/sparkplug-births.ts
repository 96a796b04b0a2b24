import { dataTypes } from '@tailrace/sparkplug/data-type';
import { metricFields } from '@tailrace/sparkplug/metric-fields';
import { encodePayload, type Metric } from '@tailrace/sparkplug/payload';
import type { Attack } from '../attack-definition.ts';
import { AttackMqtt } from '../attack-mqtt.ts';

const metricsOfBirth = 4_000;
const nodesOfClient = 100;

/** A birth is kept as long as its node is known. */
export const sparkplugBirths: Attack = {
  name: 'sparkplug-births',
  words: 'Sparkplug edge nodes without end, each with a birth of 4,000 metrics, and data that need another birth',
  targets: ['standalone'],
  refusals: ['disconnect 0x97'],
  attackMs: { full: 15_000, small: 1_500 },
  // Half of the memory for births.
  heapMb: 384,
  rssGrowthMbMax: 350,
  async run(context) {
    for (let client = 0; !context.isExpired(); client++) {
      const gateway = await AttackMqtt.open(context, { clientId: `s${client}`, clean: true, sessionExpirySeconds: 0 });
      if (gateway === undefined) continue;
      // The first ones are small: at the limit of one client its connection is closed.
      for (let n = 0; n <= nodesOfClient && !gateway.isClosed && !context.isExpired(); n++) {
        const metrics = client === 0 ? [] : metricsOf(n);
        const topic = `a/NBIRTH/c${client}-n${n}`;
        gateway.publish(`spBv1.0/${topic}`, encodePayload({ timestamp: Date.now(), seq: 0, metrics }));
        const unknown = [{ alias: 7, doubleValue: 1 }];
        const data = encodePayload({ timestamp: Date.now(), seq: 77, metrics: unknown });
        gateway.publish(`spBv1.0/${topic.replace('NBIRTH', 'NDATA')}`, data);
        await gateway.whenWritable();
        if (client > 0) await context.sleep(20);
      }
      for (let wait = 0; wait < 40 && !gateway.isClosed; wait++) await context.sleep(5);
      gateway.close();
    }
  },
};

/** Without values: a birth costs the log one dead letter, and the host its memory. */
function metricsOf(node: number): Metric[] {
  const bdSeq = { name: 'bdSeq', datatype: dataTypes.int64, ...metricFields('bdSeq', dataTypes.int64, node) };
  const rest = Array.from({ length: metricsOfBirth }, (_, n) => ({
    name: `metric/of/node/${node}/${n}`,
  }));
  return [bdSeq, ...rest];
}
