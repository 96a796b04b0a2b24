import { isPlainText } from '@tailrace/protocol/text';
import { z } from 'zod';

/** A text of one line, of at most this many characters. */
export function plainText(charactersMax: number): z.ZodString {
  return z.string().max(charactersMax).refine(isPlainText, 'expected a text without control characters');
}
