import { shown, TailraceError } from '@tailrace/protocol/error';
import { isPattern, patternMatches } from '@tailrace/protocol/pattern';
import { z } from 'zod';

const schema = z
  .array(
    z.strictObject({
      pattern: z.string().refine(isPattern, 'a device path or a pattern'),
      names: z
        .array(z.string().regex(/^[A-Za-z0-9_-]{1,64}$/))
        .max(100)
        .optional(),
    }),
  )
  .max(1_000);

/** Commands that a second person must confirm. */
export interface MarkedCommands {
  isMarked(device: string, name: string): boolean;
}

/**
 * Returns the marked commands of a JSON array: `[{"pattern":"plant1.>","names":["stop"]}]`; without `names` all
 * commands of the devices. Throws `invalid_config`.
 */
export function markedCommandsFrom(text: string): MarkedCommands {
  if (text === '') return { isMarked: () => false };
  const parsed = schema.safeParse(jsonFrom(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new TailraceError(
      'invalid_config',
      `markedCommands: ${issue!.path.join('.')}: ${issue!.message}; expected [{"pattern":"plant1.>","names":["stop"]}]`,
    );
  }
  const entries = parsed.data.map(({ pattern, names }) => ({ pattern, names: names && new Set(names) }));
  return {
    isMarked: (device, name) =>
      entries.some((entry) => patternMatches(entry.pattern, device) && (entry.names?.has(name) ?? true)),
  };
}

function jsonFrom(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new TailraceError('invalid_config', `markedCommands: expected a JSON array, got ${shown(text)}`);
  }
}
