import { shown, TailraceError } from '@tailrace/protocol/error';

/** A part of a template: a literal text, or a level of the topic, from 0; -1: the levels that `#` matches. */
type Part = string | number;

const restLevels = -1;

/**
 * A text with levels of a topic: `plant1.{2}.{3}`. `{n}` is level n of the topic, from 1. `{#}` has the levels that `#`
 * of the filter matches, joined by dots. All other characters are literal.
 */
export class TopicTemplate {
  readonly #parts: readonly Part[];
  /** Levels of the filter before its `#`; all without one. */
  readonly #fixedLevels: number;

  /**
   * Throws `invalid_config` for a template that is malformed, or names levels that topics of the filter may not have.
   */
  constructor(template: string, filter: string) {
    const levels = filter.split('/');
    const hasRest = levels.at(-1) === '#';
    this.#fixedLevels = hasRest ? levels.length - 1 : levels.length;
    const parts: Part[] = [];
    let at = 0;
    for (const match of template.matchAll(/\{([^{}]*)\}/g)) {
      const literal = template.slice(at, match.index);
      if (literal !== '') parts.push(literal);
      parts.push(this.#levelOf(match[1]!, filter, hasRest));
      at = match.index + match[0].length;
    }
    const rest = template.slice(at);
    if (rest !== '') parts.push(rest);
    if (parts.some((part) => typeof part === 'string' && /[{}]/.test(part)))
      throw invalid(`expected {n} for level n of the topic or {#}, got ${shown(template)}`);
    this.#parts = parts;
  }

  /** `level`: converts each level. Default: unchanged. */
  of(topic: string, level: (text: string) => string = (text) => text): string {
    const levels = topic.split('/');
    let text = '';
    for (const part of this.#parts) {
      if (typeof part === 'string') text += part;
      else if (part === restLevels) text += levels.slice(this.#fixedLevels).map(level).join('.');
      else text += level(levels[part] ?? '');
    }
    return text;
  }

  #levelOf(name: string, filter: string, hasRest: boolean): number {
    if (name === '#') {
      if (hasRest) return restLevels;
      throw invalid(`expected {#} only with a filter that ends with #, got it with ${shown(filter)}`);
    }
    const level = /^[1-9][0-9]?$/.test(name) ? Number(name) : 0;
    if (level >= 1 && level <= this.#fixedLevels) return level - 1;
    const range = `{1} to {${this.#fixedLevels}}`;
    throw invalid(`expected a level of ${shown(filter)}, ${range}, got ${shown(`{${name}}`)}`);
  }
}

/** Returns a level with `_` for each character that a segment of a device path cannot contain. */
export function pathSegmentFrom(level: string): string {
  return level.replaceAll(/[^A-Za-z0-9_-]/gu, '_');
}

function invalid(message: string): TailraceError {
  return new TailraceError('invalid_config', message);
}
