import type { Clock } from '@tailrace/platform/clock';
import type { Metrics } from '@tailrace/platform/metrics';
import { Journal } from '../src/journal.ts';
import { TriggerRuns } from '../src/triggers/trigger-runs.ts';

/** Returns the runs of triggers for a reader of alarms without the rest of control. */
export function createTriggers(clock: Clock, metrics: Metrics): TriggerRuns {
  return new TriggerRuns({ context: { clock, journal: new Journal({ clock }), wakeOutbox() {} }, metrics });
}
