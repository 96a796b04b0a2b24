import { TailraceError } from '@tailrace/protocol/error';

/** `text` with what stands between the comments `<!-- made by <maker> -->` and `<!-- end -->` replaced by `part`. */
export function withMadePart(text: string, maker: string, part: string): string {
  const begin = `<!-- made by ${maker} -->`;
  const end = '<!-- end -->';
  const from = text.indexOf(begin);
  const to = text.indexOf(end, from);
  if (from === -1 || to === -1) {
    throw new TailraceError(
      'not_found',
      `the page has no ${begin} followed by ${end}; what is made goes between the two`,
    );
  }
  return `${text.slice(0, from)}${begin}\n${part}\n${text.slice(to)}`;
}
