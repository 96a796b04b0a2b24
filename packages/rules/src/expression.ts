import { type ASTNode, Environment, ParseError } from '@marcbachmann/cel-js';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { ExpressionCompiler } from './expression-compiler.ts';
import { invalidExpression } from './expression-error.ts';
import { type TagType, typeNoun, type ValueOf } from './expression-value.ts';

/**
 * Limits of an expression. There are no loops, so that each part is evaluated at most once: they bound the cost of an
 * evaluation too. A rule for people has one line and about ten parts.
 */
export const expressionLimits = {
  charactersMax: 2000,
  /** Values, tags, operators and calls. */
  partsMax: 200,
  /** Of parentheses and calls. */
  depthMax: 32,
} as const;

/** A condition over the last values of one device. */
export interface Expression {
  readonly text: string;
  /** The tags that it reads, each once, in the order of the text. */
  readonly tags: readonly string[];
  /**
   * Returns whether the condition is met; undefined if that is unknown, because a tag that matters has no value, or one
   * of another type. Never throws, and allocates nothing but the texts that it joins.
   */
  evaluate(read: ValueOf): boolean | undefined;
}

const environment = new Environment({
  unlistedVariablesAreDyn: true,
  limits: {
    maxAstNodes: expressionLimits.partsMax,
    maxDepth: expressionLimits.depthMax,
    maxListElements: expressionLimits.partsMax,
  },
});

/**
 * Compiles a condition in CEL, the Common Expression Language, such as `temp > 80 && (!running || pressure + 1 < 5)`.
 * cel-js parses it. Types and evaluation are ours, since the tags of devices differ from CEL's variables:
 *
 * - A number is a number. CEL refuses `temp + 1`, since 1 is an integer there; and 1 / 2 is 0.5 here.
 * - A missing tag makes the result unknown, unless the other side decides it: `has(a) && a > 1`, `false && a > 1`.
 * - A tag that is no identifier is `tags["motor-1.temp"]`; `motor.temp` is the tag with this name.
 *
 * @param types The tags of the device, and their types. Without them, a tag may have any name, and any type.
 * @throws `invalid_rule` with line, column and a caret: not CEL, an unknown tag, an operator or function with values of
 *   other types, a result that is no boolean, a construct of unbounded cost, or a limit of `expressionLimits`.
 */
export function compileExpression(text: string, types?: ReadonlyMap<string, TagType | 'unknown'>): Expression {
  if (text.length > expressionLimits.charactersMax) {
    throw new TailraceError(
      'invalid_rule',
      `expression: expected at most ${expressionLimits.charactersMax} characters, got ${text.length}`,
    );
  }
  if (text.trim() === '') {
    throw new TailraceError('invalid_rule', `expression: expected a condition such as temp > 80, got ${shown(text)}`);
  }
  const compiler = new ExpressionCompiler(text, types);
  const condition = compiler.compile(parsed(text));
  if (condition.type !== 'boolean' && condition.type !== 'unknown') {
    throw invalidExpression(
      text,
      condition.at,
      `expected a condition such as temp > 80, got ${typeNoun(condition.type)}`,
    );
  }
  const evaluate = condition.evaluate;
  return {
    text,
    tags: compiler.tags,
    evaluate: (read) => {
      const value = evaluate(read);
      return typeof value === 'boolean' ? value : undefined;
    },
  };
}

function parsed(text: string): ASTNode {
  try {
    return environment.parse(text).ast;
  } catch (thrown) {
    if (!(thrown instanceof ParseError)) throw thrown;
    throw syntaxError(text, thrown);
  }
}

function syntaxError(text: string, error: ParseError): TailraceError {
  const start = Math.min(error.range?.start ?? 0, text.length);
  const token = wordAt(text, start);
  const got = token === '' ? 'the end' : shown(token);
  switch (error.code) {
    case 'limit_exceeded':
      return invalidExpression(
        text,
        start,
        error.summary.includes('maxDepth')
          ? `expected parentheses and calls at most ${expressionLimits.depthMax} deep; the expression costs too much`
          : `expected at most ${expressionLimits.partsMax} values, tags and operators; the expression costs too much`,
      );
    case 'reserved_identifier':
      return invalidExpression(text, start, `expected a tag, got the reserved word ${got}; use tags[${shown(token)}]`);
    case 'expected_token':
    case 'unexpected_token':
    case 'unexpected_character':
      return invalidExpression(text, start, `expected ${expectedAt(text, start)}, got ${got}${hints.get(token) ?? ''}`);
    default:
      return invalidExpression(text, start, `expected CEL, got ${got}: ${error.summary}`);
  }
}

/** What people write who know another language. */
const hints: ReadonlyMap<string, string> = new Map([
  ['and', '; use &&'],
  ['AND', '; use &&'],
  ['or', '; use ||'],
  ['OR', '; use ||'],
  ['not', '; use !'],
  ['=', '; use == to compare'],
  ['&', '; use &&'],
  ['|', '; use ||'],
]);

/** After a value follows an operator, after an operator a value. */
function expectedAt(text: string, at: number): string {
  return /[\w"'\])]\s*$/.test(text.slice(0, at)) ? 'an operator, a closing bracket or the end' : 'a value or a tag';
}

function wordAt(text: string, at: number): string {
  return /^\s*([\p{L}_][\p{L}\w]*|[\d.]+(?:[eE][+-]?\d+)?|\S?)/u.exec(text.slice(at))?.[1] ?? '';
}
