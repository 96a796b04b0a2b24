import { isDevicePath } from '@tailrace/protocol/path';
import { isPattern } from '@tailrace/protocol/pattern';
import { plainText } from '@tailrace/rules/plain-text';
import { z } from 'zod';

/* Fields that records of control share. */

/** The ID of a scene, schedule or group, as its author names it. */
export const idSchema = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, 'expected 1 to 64 of "a-z", "0-9", "_" and "-", the first a letter or digit');

/** A text for people, of one line. */
export const labelSchema = plainText(128).min(1);

/** A longer text for people, of one line; '': none. */
export const noteSchema = plainText(1_000);

export const devicePathSchema = z
  .string()
  .refine(isDevicePath, 'expected a device path, as in "plant1.line3.press7"')
  .describe('A device path.');

export const patternSchema = z
  .string()
  .refine(isPattern, 'expected a device path, or a pattern as in "plant1.line3.>"')
  .describe('A device path, or a pattern such as `plant1.line3.>`.');

/** JSON of JavaScript has no `__proto__`: the value of a tag with this name would be lost without an error. */
export const tagSchema = plainText(128)
  .min(1)
  .refine((tag) => tag !== '__proto__', 'expected another name than "__proto__"');
