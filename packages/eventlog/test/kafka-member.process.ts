/**
 * A member of a group in its own process, to be killed: `kafka-member.process.ts <broker> <topic> <group>
 * <member>`. Writes `owns <n>`.
 */
import { silentLogger } from '@tailrace/platform/logger';
import { KafkaEventLog } from '../src/kafka.ts';

const [broker, topic, group, member] = process.argv.slice(2) as [string, string, string, string];
const eventLog = new KafkaEventLog({ brokers: [broker], logger: silentLogger });
await eventLog.start();
const subscription = await eventLog.subscribe({
  topics: [topic],
  group,
  member,
  flushMs: 5,
  onAssigned({ partitions }) {
    process.stdout.write(`owns ${partitions.length}\n`);
    return undefined;
  },
  onBatches(batches) {
    for (const { partition, records } of batches) {
      subscription.commit(topic, partition, records[records.length - 1]!.seq + 1);
    }
  },
});
