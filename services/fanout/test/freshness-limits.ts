import { z } from 'zod';
import { freshnessSettings } from '../src/presence/freshness-settings.ts';

/** The defaults of the settings. */
export const freshnessLimits: z.output<z.ZodObject<typeof freshnessSettings>> = z.object(freshnessSettings).parse({});
