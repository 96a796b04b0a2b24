import { z } from 'zod';
import { devicePath, tagName, tagValue } from '../tag-schema.ts';

/** Most tags that one command writes. */
const tagsMax = 32;

/** A command of a device, by its name: which values it writes, and how its success shows. */
export const commandSchema = z.strictObject({
  device: devicePath,
  name: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, 'expected 1 to 64 letters, digits, "_" or "-"'),
  /** Values by tag, written in this order. */
  set: z.record(tagName, tagValue).refine((set) => {
    const count = Object.keys(set).length;
    return count >= 1 && count <= tagsMax;
  }, `expected 1 to ${tagsMax} tags`),
  /**
   * The tag that shows, until the deadline, that the command is done: of a request that the PLC resets by itself.
   * Default: each tag that was written is read back.
   */
  confirm: z.strictObject({ tag: tagName, value: tagValue }).optional(),
});

export type CommandDefinition = z.output<typeof commandSchema>;
