/** The devices of the bench: reports into Kafka at an even rate, each device in turn. */
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { createLogger } from '@tailrace/platform/logger';
import type { Reading } from '@tailrace/protocol/report';
import { encodeReport } from '@tailrace/protocol/report-proto';
import { answer } from './child.ts';
import { deviceName, telemetryTopic } from './node-options.ts';

const logger = createLogger({ service: 'bench', level: 'warn' });
const periodMs = 10;
let eventLog: KafkaEventLog;

/** Of JSON of about 512 B with eight readings, of 290 B with four. */
function readingsOf(count: number, value: number): Reading[] {
  return Array.from({ length: count }, (_, i) => ({ tag: `temperature${i}`, value: value + i / 8, unit: 'Cel' }));
}

const now = () => performance.timeOrigin + performance.now();

answer({
  start: async ({ broker }: { broker: string }) => {
    eventLog = new KafkaEventLog({ brokers: [broker], prefix: 'bench', logger });
    await eventLog.start();
    return {};
  },
  /** Reports of `devices` devices at `perSecond` for `seconds`; `perSecond` 0: each once, as fast as it goes. */
  run: async ({ devices, perSecond, seconds, readings }: Record<string, number>) => {
    const total = perSecond === 0 ? devices! : perSecond! * seconds!;
    const startedMs = performance.now();
    let sent = 0;
    const under: Promise<unknown>[] = [];
    while (sent < total) {
      const due = perSecond === 0 ? total : ((performance.now() - startedMs) / 1_000) * perSecond!;
      const count = Math.min(total, Math.floor(due), sent + 2_000) - sent;
      if (count > 0) {
        const records = Array.from({ length: count }, (_, i) => {
          const device = deviceName((sent + i) % devices!);
          const nowMs = now();
          const report = { device, time: nowMs, readings: readingsOf(readings!, Math.floor((sent + i) / devices!)) };
          return { key: device, value: encodeReport(report, nowMs) };
        });
        sent += count;
        const appended = eventLog.append(telemetryTopic, records);
        if (perSecond === 0) await appended;
        else under.push(appended);
      } else await new Promise((resolve) => setTimeout(resolve, periodMs));
    }
    await Promise.all(under);
    return { sent };
  },
});
