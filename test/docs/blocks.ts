/**
 * The commands of a page. Before each block of shell commands stands a comment, which readers do not see:
 *
 *     <!-- run: laptop -->                                  in the first terminal, after the block before it
 *     <!-- run: cluster, within 600 s -->                   for longer than two minutes
 *     <!-- run: laptop, stays, ready: Ctrl-C stops -->      in the second terminal, until the next such block takes its place; the text says that it is up
 *     <!-- run: laptop, stays too, ready: ready -->          in one terminal more, beside what stays already
 *     <!-- run: laptop, ends -->                            ends what stays, then runs
 *     <!-- not run: why -->
 *
 * A comment `# prints: some … text` within a block says what its output contains; `…` stands for anything.
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
  readonly mark: Mark;
}

export type Mark =
  | {
      readonly setting: Setting;
      /** What it prints when it is up; undefined for a block that ends by itself. */
      readonly ready: string | undefined;
      /** Ends what stays already. */
      readonly ends: boolean;
      readonly withinMs: number;
    }
  | { readonly setting: 'not run'; readonly why: string };

export type RunMark = Exclude<Mark, { setting: 'not run' }>;

const withinMsDefault = 120_000;
const fence = /^```(?:sh|bash|shell|console)\s*$/;

/** The shell blocks of a page, and what is wrong with them, each fault with its line. */
export function blocksOf(page: string, markdown: string): { blocks: Block[]; faults: string[] } {
  const lines = markdown.split('\n');
  const blocks: Block[] = [];
  const faults: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    if (!lines[at]!.startsWith('```')) continue;
    const end = lines.findIndex((line, i) => i > at && line.startsWith('```'));
    if (end === -1) {
      faults.push(`${page}:${at + 1}: the block has no end`);
      break;
    }
    if (fence.test(lines[at]!)) {
      const where = `${page}:${at + 1}`;
      const mark = markFrom(lines[at - 1] ?? '');
      const text = lines.slice(at + 1, end).join('\n');
      if (typeof mark === 'string') faults.push(`${where}: ${mark}`);
      else {
        if (mark.setting !== 'not run') faults.push(...textFaults(where, text));
        blocks.push({ page, line: at + 2, text, prints: printsOf(text), mark });
      }
    }
    at = end;
  }
  return { blocks, faults };
}

/** A sentence where the line is no mark. */
function markFrom(line: string): Mark | string {
  const wrong = `the line before a block of commands is ${JSON.stringify(line)}; right is one like <!-- run: laptop --> or <!-- not run: why -->`;
  const comment = /^<!-- (run|not run): (.+) -->$/.exec(line);
  if (!comment) return wrong;
  const [, kind, said] = comment as unknown as [string, 'run' | 'not run', string];
  if (kind === 'not run') return { setting: 'not run', why: said };
  const run = /^(\w+)(, ends)?(?:, stays( too)?, ready: (.+?))?(?:, within (\d+) s)?$/.exec(said);
  if (!run) return wrong;
  const [, setting, ends, too, ready, seconds] = run;
  if (!isSetting(setting)) return `run: ${setting}; right is one of ${settings.join(', ')}`;
  return {
    setting,
    ready,
    ends: ends !== undefined || (ready !== undefined && too === undefined),
    withinMs: seconds === undefined ? withinMsDefault : Number(seconds) * 1000,
  };
}

function isSetting(text: string | undefined): text is Setting {
  return (settings as readonly (string | undefined)[]).includes(text);
}

/** What a reader would have to change before the commands work is no command to copy. */
function textFaults(where: string, text: string): string[] {
  const faults: string[] = [];
  const placeholder = /<[a-z][\w -]*>/.exec(text.replace(/<<-?'?\w+'?/g, ''));
  if (placeholder) faults.push(`${where}: has the placeholder ${placeholder[0]}; only a block that is not run may`);
  if (/\bexample\.(org|com)\b/.test(text)) faults.push(`${where}: names a machine that is only an example`);
  if (text.trim() === '') faults.push(`${where}: has no command`);
  return faults;
}

function printsOf(text: string): string[] {
  return [...text.matchAll(/^\s*# prints: (.+?)\s*$/gm)].map(([, expected]) => expected!);
}

/** Whether `output` contains `expected`, in which `…` stands for anything. */
export function isPrinted(expected: string, output: string): boolean {
  const pattern = expected
    .split('…')
    .map((part) => part.trim().replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*');
  return new RegExp(pattern, 's').test(output);
}
