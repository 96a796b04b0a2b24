import { isDevicePath } from '@tailrace/protocol/path';
import { z } from 'zod';

/** Sparkplug B on the broker of a bridge. */
export const sparkplugSchema = z.strictObject({
  /** What the host sends: nothing, requests for births, or these and its state. */
  role: z.enum(['passive', 'active', 'primary']).default('passive'),
  hostId: z
    .string()
    .regex(/^[^/+#\0]{1,128}$/, 'expected 1 to 128 characters, and none of / + #')
    .default('tailrace'),
  groups: z
    .array(z.string().regex(/^([^/+#\0]{1,128}|\+)$/, 'expected a group ID, or + for all'))
    .min(1)
    .max(100)
    .default(['+']),
  /** Device path before the group. */
  prefix: z.string().refine(isDevicePath, 'expected a device path'),
  reorderMs: z.int().min(100).max(60_000).default(5_000),
  /** Segments for IDs that a path cannot contain, or that would collide. */
  ids: z.record(z.string().min(1).max(128), z.string().regex(/^[A-Za-z0-9_-]{1,64}$/)).default({}),
});

export type SparkplugSettings = z.output<typeof sparkplugSchema>;
