import { shown, TailraceError } from '@tailrace/protocol/error';
import { parse } from 'yaml';

export interface ValueKey {
  /** `fanout.hpa.enabled`. */
  readonly path: string;
  readonly fallback: unknown;
  readonly reason: string;
}

export interface ValueSection {
  /** The first name of its keys; empty: those that stand alone. */
  readonly name: string;
  readonly reason: string;
  readonly keys: readonly ValueKey[];
}

interface Line {
  readonly indent: number;
  readonly name: string;
}

/**
 * Returns the keys of a values file with the comments above them: `# --` and the comment lines after it explain the
 * next key, a plain comment the next section. A key without a comment needs keys of its own with comments, or a comment
 * under `defaults`. Throws `invalid_config` for any other.
 */
export function valueSections(text: string): readonly ValueSection[] {
  const values: unknown = parse(text);
  const sections = new Map<string, { name: string; reason: string; keys: ValueKey[] }>();
  let reason = '';
  let above = '';
  let way: Line[] = [];
  /** Deeper lines belong to the default of the key that was explained. */
  let shownIndent = Number.POSITIVE_INFINITY;
  for (const line of text.split('\n')) {
    const comment = /^\s*# ?(-- )?(.*)$/.exec(line);
    if (comment) {
      const [, starts, words = ''] = comment;
      if (starts) reason = words;
      else if (reason !== '') reason += ` ${words}`;
      else above = words;
      continue;
    }
    const key = /^( *)([A-Za-z][A-Za-z0-9]*):/.exec(line);
    if (line.trim() === '') above = '';
    if (!key) continue;
    const indent = key[1]!.length;
    if (indent > shownIndent) continue;
    shownIndent = Number.POSITIVE_INFINITY;
    way = [...way.filter((outer) => outer.indent < indent), { indent, name: key[2]! }];
    const path = way.map(({ name }) => name).join('.');
    const fallback = valueAt(values, path);
    const inner = isNamed(fallback) && Object.keys(fallback).length > 0;
    const section = inner || way.length > 1 ? way[0]!.name : '';
    const known = sections.get(section) ?? { name: section, reason: way.length === 1 ? above : '', keys: [] };
    sections.set(section, known);
    if (reason !== '') {
      known.keys.push({ path, fallback, reason });
      shownIndent = indent;
    } else if (!inner || isDefaultsKey(values, path)) {
      known.keys.push({ path, fallback, reason: inheritedReason(values, path) });
      shownIndent = indent;
    }
    reason = '';
    above = '';
  }
  return [...sections.values()];
}

function isDefaultsKey(values: unknown, path: string): boolean {
  const [section, ...rest] = path.split('.');
  return rest.length > 0 && section !== 'defaults' && valueAt(values, ['defaults', ...rest].join('.')) !== undefined;
}

function inheritedReason(values: unknown, path: string): string {
  if (isDefaultsKey(values, path)) return 'See `defaults`.';
  throw new TailraceError(
    'invalid_config',
    `values.yaml: ${shown(path)} has no comment; add a line "# -- why" above it`,
  );
}

function isNamed(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function valueAt(values: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((value, name) => (isNamed(value) ? value[name] : undefined), values);
}

/** Returns Markdown with a table for each section. */
export function valuesText(sections: readonly ValueSection[]): string {
  return sections.map(sectionText).join('\n\n');
}

function sectionText({ name, reason, keys }: ValueSection): string {
  const rows = keys.map(
    (key) => `| \`${key.path}\` | ${defaultText(key.fallback)} | ${key.reason.replaceAll('|', '\\|')} |`,
  );
  const head = name === '' ? [] : [`### ${name}`, '', ...(reason === '' ? [] : [reason, ''])];
  return [...head, '| key | default | why |', '| --- | --- | --- |', ...rows].join('\n');
}

function defaultText(value: unknown): string {
  if (value === '' || value === null) return '–';
  return `\`${JSON.stringify(value).replaceAll('|', '\\|')}\``;
}
