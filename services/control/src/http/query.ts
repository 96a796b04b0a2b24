import { isDevicePath } from '@tailrace/protocol/path';
import { isPattern } from '@tailrace/protocol/pattern';
import { z } from 'zod';
import { errorSchema } from './api-error.ts';

/** Schemas that routes of several parts share. */

export const deviceSchema = z
  .string()
  .refine(isDevicePath, 'expected a device path')
  .describe('Device path, such as plant1.line3.press7.');

export const patternSchema = z
  .string()
  .refine(isPattern, 'expected a device path or a pattern')
  .describe('A device path, or a pattern such as plant1.line3.>.');

/** A value of a parameter of a command. A text as PostgreSQL can hold it in JSON. */
export const commandValueSchema = z.union([
  z.number(),
  z.boolean(),
  z
    .string()
    .max(4_096)
    .refine((text) => text.isWellFormed() && !text.includes('\0'), 'expected a text of Unicode without NUL characters'),
]);

export const limitSchema = z.coerce.number().int().min(1).max(500).default(100).describe('Entries of a page.');

/** A time in a query. */
export const epochMsSchema = z.coerce
  .number({ error: 'expected milliseconds since 1970' })
  .min(0)
  .max(8.64e15)
  .describe('Epoch ms.');

/** Of `before` and `next`: an opaque text, of a position below 2^53. */
export const cursorSchema = z
  .string()
  .refine((text) => /^[a-z0-9]{1,11}$/.test(text) && Number.isSafeInteger(Number.parseInt(text, 36)), {
    message: 'expected `next` of the page before',
  })
  .describe('From `next` of the page before.');

/** Returns the cursor of a position, and the position of one. */
export const cursor = {
  of: (position: number): string => position.toString(36),
  from: (text: string | undefined): number | undefined => (text === undefined ? undefined : Number.parseInt(text, 36)),
};

/** Answers that each route may have. */
export const errorResponses = {
  400: errorSchema,
  401: errorSchema,
  403: errorSchema,
  404: errorSchema,
  409: errorSchema,
  415: errorSchema.describe('The body has another Content-Type than expected.'),
  422: errorSchema.describe('A maximum is reached: ask for less, or remove something first.'),
  429: errorSchema,
  503: errorSchema,
} as const;
