import { batchBounds, type Histogram } from '@tailrace/platform/measures';
import type { Metrics } from '@tailrace/platform/metrics';
import type { IntakeObserver, MessageIntake } from './message-intake.ts';
import { type Pressure, pressureStates } from './pressure.ts';

/** Returns the observer of an intake. `appendSeconds`: of `IngestMetrics`, which has the appends of requests, too. */
export function createIntakeObserver(metrics: Metrics, appendSeconds: Histogram): IntakeObserver {
  const batches = metrics.histogram(
    'tailrace_ingest_intake_batch_messages',
    'Messages of one call of the log.',
    batchBounds,
  );
  return {
    appended: (messages) => batches.observe(messages),
    settled: (seconds) => appendSeconds.observe(seconds),
  };
}

/** Registers the limit of an intake, how much of it is used, and the pressure of the process. */
export function registerIntakeMetrics(
  metrics: Metrics,
  intake: Pick<MessageIntake, 'unsettled' | 'heldBytes'>,
  pressure: Pick<Pressure, 'state'>,
  unsettledMax: number,
): void {
  const help = 'Messages of devices that wait for the log';
  metrics.gauge('tailrace_ingest_unsettled_messages', `${help}.`, () => intake.unsettled);
  metrics.gauge('tailrace_ingest_limit_unsettled_messages', `${help}: the limit.`, () => unsettledMax);
  metrics.gauge('tailrace_ingest_unsettled_bytes', 'Bytes of these messages.', () => intake.heldBytes);
  metrics.gauge('tailrace_ingest_pressure_levels', 'Whether the log keeps up: 0 open, 1 slow, 2 away.', () =>
    pressureStates.indexOf(pressure.state),
  );
}
