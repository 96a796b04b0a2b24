import { DelayCounts } from './delay-counts.ts';
import type { DeviceSettings } from './settings.ts';
import type { WorkerResult } from './worker.ts';

/** Above it the load could not keep up, and delays are partly its own. */
const ownDelayMsMax = 50;

/** Returns the summary of a run as text, and whether all objectives are met. */
export function summaryOf(settings: DeviceSettings, result: WorkerResult): { text: string; isMet: boolean } {
  const { protocol, devices, rate, seconds, targets, sloAckMs } = settings;
  const { sent, acknowledged, refused, resent, disconnects, delivered, missing, doubled, disordered, skipped } = result;
  const [acks, timer] = [new DelayCounts(), new DelayCounts()];
  acks.addAll(result.ackDelays);
  timer.addAll(result.timerDelays);
  const p99 = acks.percentile(0.99);
  const ms = (value: number) => (Number.isNaN(value) ? 'none' : `${value.toFixed(1)} ms`);
  const lost = Math.max(0, missing - skipped);
  const refusedText = Object.entries(refused).map(([code, count]) => `${count} ${code}`);
  const lines: [name: string, value: string][] = [
    ['reports sent', `${sent}`],
    ['acknowledged', `${acknowledged}`],
    ['refused', refusedText.join(', ') || '0'],
    ['without an answer', `${sent - acknowledged - answeredIn(refused)}`],
    ['sent again', `${resent}`],
    ['connections lost', `${disconnects}`],
    ['to the acknowledgment', `p50 ${ms(acks.percentile(0.5))}, p99 ${ms(p99)}, longest ${ms(acks.mostMs)}`],
    ['delay of the load itself', `p99 ${ms(timer.percentile(0.99))}`],
  ];
  if (targets.length > 0) {
    lines.push(['delivered', `${delivered}`], ['skipped for a slow subscriber', `${skipped}`]);
  }
  const objectives: [name: string, expected: string, got: string, isMet: boolean][] = [
    ['acknowledged', 'all', `${acknowledged} of ${sent}`, acknowledged === sent && refused['not_sent'] === undefined],
    ['to the acknowledgment, p99', `≤ ${sloAckMs} ms`, ms(p99), p99 <= sloAckMs],
  ];
  if (targets.length > 0) {
    objectives.push(['lost', '0', `${lost}`, lost === 0], ['doubled', '0', `${doubled}`, doubled === 0]);
    objectives.push(['out of order', '0', `${disordered}`, disordered === 0]);
  }
  const isMet = objectives.every((each) => each[3]);
  const head = `Tailrace load of devices: ${devices} by ${protocol}, ${rate} reports a second, ${seconds} s`;
  const text = [
    ...['', head, ''],
    ...lines.map(([name, value]) => `  ${name.padEnd(32)}${value}`),
    ...(targets.length > 0 ? [] : ['  Deliveries are not checked: TARGET is not set.']),
    ...(timer.percentile(0.99) > ownDelayMsMax
      ? ['  The load could not keep up: use PROCESSES, or another machine.']
      : []),
    '',
    ...objectives.map(
      ([name, expected, got, met]) =>
        `  ${name.padEnd(32)}${expected.padEnd(12)}${got.padEnd(20)}${met ? 'met' : 'NOT MET'}`,
    ),
    ...['', isMet ? 'All objectives are met.' : 'Not all objectives are met.'],
  ].join('\n');
  return { text, isMet };
}

function answeredIn({ not_sent: _, ...refused }: Readonly<Record<string, number>>): number {
  return Object.values(refused).reduce((sum, count) => sum + count, 0);
}
