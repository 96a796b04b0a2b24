import type { Clock } from '@tailrace/platform/clock';
import { z } from 'zod';
import { WorkScheduler } from '../src/catch-up/work-scheduler.ts';
import { workSettings } from '../src/catch-up/work-settings.ts';

/** The settings' defaults. */
export const workLimits: z.output<z.ZodObject<typeof workSettings>> = z.object(workSettings).parse({});

/** For parts that a test makes by hand: turns of the event loop come with the clock. */
export function workOn(clock: Clock): WorkScheduler {
  return new WorkScheduler({ clock, defer: (call) => void clock.after(0, call), limits: workLimits });
}
