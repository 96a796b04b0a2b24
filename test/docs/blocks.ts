/**
 * The commands of a page. Each block of shell commands follows a directive, in a comment that readers do not see:
 *
 *     <!-- run: laptop -->                                  in the first terminal, after the block before it
 *     <!-- run: cluster, within 600 s -->                   with a deadline of more than two minutes
 *     <!-- run: laptop, stays, ready: Ctrl-C stops -->      in the second terminal, until the next such block; it is
 *                                                           ready when it has printed the text
 *     <!-- run: laptop, stays too, ready: ready -->         in a further terminal, beside those that stay
 *     <!-- run: laptop, stops others -->                    stops those that stay, then runs
 *     <!-- not run: why -->
 *
 * A comment `# prints: some … text` within a block has a text that the output must contain; `…` matches any text.
 */
export type Setting = (typeof settings)[number];

/** Where commands run: on any machine, with a Docker engine, on the cluster of KUBECONFIG. */
export const settings = ['laptop', 'compose', 'cluster'] as const;

export interface Block {
  readonly page: string;
  /** Of its first command. */
  readonly line: number;
  readonly text: string;
  readonly prints: readonly string[];
  readonly directive: Directive;
}

export type Directive =
  | {
      readonly setting: Setting;
      /** The text that it prints when it is ready; undefined for a block that exits by itself. */
      readonly ready: string | undefined;
      /** Stops the blocks that stay. */
      readonly stopsOthers: boolean;
      readonly withinMs: number;
    }
  | { readonly setting: 'not run'; readonly why: string };

export type RunDirective = Exclude<Directive, { setting: 'not run' }>;

const withinMsDefault = 120_000;
const fence = /^```(?:sh|bash|shell|console)\s*$/;

/** Returns the shell blocks of a page, and their errors, each with its line. */
export function blocksOf(page: string, markdown: string): { blocks: Block[]; errors: string[] } {
  const lines = markdown.split('\n');
  const blocks: Block[] = [];
  const errors: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    if (!lines[at]!.startsWith('```')) continue;
    const end = lines.findIndex((line, i) => i > at && line.startsWith('```'));
    if (end === -1) {
      errors.push(`${page}:${at + 1}: the block has no end`);
      break;
    }
    if (fence.test(lines[at]!)) {
      const where = `${page}:${at + 1}`;
      const directive = directiveFrom(lines[at - 1] ?? '');
      const text = lines.slice(at + 1, end).join('\n');
      if (typeof directive === 'string') errors.push(`${where}: ${directive}`);
      else {
        if (directive.setting !== 'not run') errors.push(...textErrors(where, text));
        blocks.push({ page, line: at + 2, text, prints: printsOf(text), directive });
      }
    }
    at = end;
  }
  return { blocks, errors };
}

/** Returns the directive of a line, or an error as text. */
function directiveFrom(line: string): Directive | string {
  const invalid = `the line before a block: expected such as <!-- run: laptop --> or <!-- not run: why -->, got ${JSON.stringify(line)}`;
  const comment = /^<!-- (run|not run): (.+) -->$/.exec(line);
  if (!comment) return invalid;
  const [, kind, content] = comment as unknown as [string, 'run' | 'not run', string];
  if (kind === 'not run') return { setting: 'not run', why: content };
  const run = /^(\w+)(, stops others)?(?:, stays( too)?, ready: (.+?))?(?:, within (\d+) s)?$/.exec(content);
  if (!run) return invalid;
  const [, setting, stopsOthers, too, ready, seconds] = run;
  if (!isSetting(setting)) return `run: expected one of ${settings.join(', ')}, got ${setting}`;
  return {
    setting,
    ready,
    stopsOthers: stopsOthers !== undefined || (ready !== undefined && too === undefined),
    withinMs: seconds === undefined ? withinMsDefault : Number(seconds) * 1000,
  };
}

function isSetting(text: string | undefined): text is Setting {
  return (settings as readonly (string | undefined)[]).includes(text);
}

/** Returns the parts that a reader would have to replace: commands of a block are to be copied. */
function textErrors(where: string, text: string): string[] {
  const errors: string[] = [];
  const placeholder = /<[a-z][\w -]*>/.exec(text.replace(/<<-?'?\w+'?/g, ''));
  if (placeholder) errors.push(`${where}: has the placeholder ${placeholder[0]}; only a block that is not run may`);
  if (/\bexample\.(org|com)\b/.test(text)) errors.push(`${where}: names a machine that is only an example`);
  if (text.trim() === '') errors.push(`${where}: has no command`);
  return errors;
}

function printsOf(text: string): string[] {
  return [...text.matchAll(/^\s*# prints: (.+?)\s*$/gm)].map(([, expected]) => expected!);
}

/** Whether `output` contains `expected`, in which `…` matches any text. */
export function isPrinted(expected: string, output: string): boolean {
  const pattern = expected
    .split('…')
    .map((part) => part.trim().replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*');
  return new RegExp(pattern, 's').test(output);
}
