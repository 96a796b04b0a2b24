import type { Clock } from '@tailrace/platform/clock';
import { z } from 'zod';
import { WorkScheduler } from '../src/catch-up/work-scheduler.ts';
import { workSettings } from '../src/catch-up/work-settings.ts';

/** The defaults of the settings. */
export const workLimits: z.output<z.ZodObject<typeof workSettings>> = z.object(workSettings).parse({});

/** Creates a scheduler whose turns of the event loop are timers of the clock. */
export function workOn(clock: Clock): WorkScheduler {
  return new WorkScheduler({ clock, defer: (call) => void clock.after(0, call), limits: workLimits });
}
