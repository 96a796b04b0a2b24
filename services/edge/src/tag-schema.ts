import { isDevicePath } from '@tailrace/protocol/path';
import { reportLimits } from '@tailrace/protocol/report-limits';
import { isPlainText } from '@tailrace/protocol/text';
import { z } from 'zod';

const maxSilenceMsDefault = 60_000;

export const devicePath = z.string().refine(isDevicePath, 'expected a device path, as in plant1.line3.press7');
export const sourceName = z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/, 'expected 1 to 64 letters, digits, "_" or "-"');
export const tagName = plainText(reportLimits.tagCharactersMax);
export const unitName = plainText(reportLimits.unitCharactersMax);

function plainText(charactersMax: number) {
  return z.string().min(1).max(charactersMax).refine(isPlainText, 'expected a text without control characters');
}

const finite = z.number();

/** A value of a tag. */
export const tagValue = z.union([finite, z.boolean(), z.string().max(reportLimits.textCharactersMax)]);

/** Which samples of a tag are sent. Without a filter, all are. */
export const filterSchema = z
  .strictObject({
    deadband: finite.min(0).optional(),
    deadbandPercent: finite.min(0).max(100).optional(),
    range: z.tuple([finite, finite]).optional(),
    swingingDoor: finite.positive().optional(),
    maxSilenceMs: z.int().min(1_000).max(86_400_000).default(maxSilenceMsDefault),
    bypass: z.boolean().optional(),
  })
  .refine(
    ({ deadband, deadbandPercent, swingingDoor, bypass }) =>
      [deadband, deadbandPercent, swingingDoor, bypass === true ? true : undefined].filter((each) => each !== undefined)
        .length <= 1,
    'expected at most one of deadband, deadbandPercent, swingingDoor and bypass',
  )
  .refine(
    ({ deadbandPercent, range }) => deadbandPercent === undefined || (range !== undefined && range[0] < range[1]),
    'expected a range [low, high] with deadbandPercent',
  );

/** Which values may be written. Without it, a tag is read-only. */
export const writeSchema = z
  .union([
    z.strictObject({ min: finite, max: finite }),
    z.strictObject({
      values: z.array(tagValue).min(1).max(1_000),
    }),
  ])
  .refine((write) => !('min' in write) || write.min <= write.max, 'expected min to be at most max');
