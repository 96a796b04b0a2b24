import { isDevicePath } from '@tailrace/protocol/path';
import { defaultReorderLimits } from '@tailrace/sparkplug/reorder-window';
import { z } from 'zod';

/** A Sparkplug ID as it is in topics. */
const id = /^[^/+#\p{Cc}]{1,128}$/u;

/** Sparkplug B on the broker of a bridge. */
export const sparkplugSchema = z
  .strictObject({
    /** What the host sends: nothing, requests for births, or these and its state. */
    role: z.enum(['passive', 'active', 'primary']).default('passive'),
    /** ID of the host in the topic of its state. Required for `primary`, of no effect otherwise. */
    hostId: z.string().regex(id, 'expected 1 to 128 characters, and none of / + #').or(z.literal('')).default(''),
    groups: z
      .array(z.union([z.literal('+'), z.string().regex(id, 'expected a group ID, or + for all')]))
      .min(1)
      .max(100)
      .default(['+']),
    /** Device path before the group. */
    prefix: z.string().refine(isDevicePath, 'expected a device path'),
    /** How long a message waits for those before it, ms. */
    reorderMs: z.int().min(100).max(60_000).default(defaultReorderLimits.reorderMs),
    /** Segments for IDs that a path cannot contain, or that would collide. */
    ids: z.record(z.string().min(1).max(128), z.string().regex(/^[A-Za-z0-9_-]{1,64}$/)).default({}),
  })
  .refine(({ role, hostId }) => role !== 'primary' || hostId !== '', {
    path: ['hostId'],
    error: 'expected one with the role primary: edge nodes wait for the host of this ID',
  })
  .refine(({ groups }) => !groups.includes('+') || groups.length === 1, {
    path: ['groups'],
    error: 'expected + alone, since it has all groups',
  });

export type SparkplugSettings = z.output<typeof sparkplugSchema>;
