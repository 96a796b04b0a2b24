import { finite } from './expression-operators.ts';
import type { Evaluate, Part, TagType, Value } from './expression-value.ts';

/** A function of an expression: the types that it takes, and what it returns. Each costs at most a text's length. */
export interface ExpressionFunction {
  readonly parameters: readonly TagType[];
  /** Takes one or more of its only parameter. */
  readonly repeats?: true;
  readonly returns: TagType;
  /** Returns undefined if the result is unknown. The arguments have the types of `parameters`. */
  readonly call: (...values: never[]) => Value | undefined;
}

const ofNumber = (call: (value: number) => number): ExpressionFunction => ({
  parameters: ['number'],
  returns: 'number',
  call: (value: number) => finite(call(value)),
});

const ofNumbers = (call: (...values: number[]) => number): ExpressionFunction => ({
  parameters: ['number'],
  repeats: true,
  returns: 'number',
  call,
});

const ofTexts = (call: (text: string, part: string) => boolean): ExpressionFunction => ({
  parameters: ['text', 'text'],
  returns: 'boolean',
  call,
});

const ofText = (call: (text: string) => string): ExpressionFunction => ({
  parameters: ['text'],
  returns: 'text',
  call,
});

const size: ExpressionFunction = {
  parameters: ['text'],
  returns: 'number',
  call: (text: string) => {
    let codePoints = 0;
    for (const _ of text) codePoints++;
    return codePoints;
  },
};

/** Called as `name(…)`. Their names are CEL's. */
export const functions: ReadonlyMap<string, ExpressionFunction> = new Map([
  ['size', size],
  [
    'double',
    {
      parameters: ['text'],
      returns: 'number',
      // Number() has 0 for an empty text.
      call: (text: string) => (text.trim() === '' ? undefined : finite(Number(text))),
    },
  ],
]);

/** Called as `math.name(…)`, after the extension of cel-go. */
export const mathFunctions: ReadonlyMap<string, ExpressionFunction> = new Map([
  ['abs', ofNumber(Math.abs)],
  ['ceil', ofNumber(Math.ceil)],
  ['floor', ofNumber(Math.floor)],
  // Math.round(-2.5) is -2.
  ['round', ofNumber((value) => Math.sign(value) * Math.round(Math.abs(value)))],
  ['sign', ofNumber(Math.sign)],
  ['sqrt', ofNumber(Math.sqrt)],
  ['trunc', ofNumber(Math.trunc)],
  ['greatest', ofNumbers(Math.max)],
  ['least', ofNumbers(Math.min)],
]);

/** Called as `text.name(…)`; the text is the first argument. */
export const textFunctions: ReadonlyMap<string, ExpressionFunction> = new Map([
  ['contains', ofTexts((text, part) => text.includes(part))],
  ['endsWith', ofTexts((text, part) => text.endsWith(part))],
  ['startsWith', ofTexts((text, part) => text.startsWith(part))],
  ['lowerAscii', ofText((text) => text.replace(/[A-Z]+/g, (part) => part.toLowerCase()))],
  ['upperAscii', ofText((text) => text.replace(/[a-z]+/g, (part) => part.toUpperCase()))],
  ['size', size],
]);

/** Functions of CEL that are refused for their cost, or for what they need, and the reason. */
export const refusedFunctions: ReadonlyMap<string, string> = new Map([
  ...['all', 'exists', 'exists_one', 'map', 'filter'].map(
    (name) => [name, `a comparison for each tag, as ${name}() repeats its argument`] as const,
  ),
  ['matches', 'contains(), startsWith() or endsWith(), as the cost of a regular expression is not bounded'],
  ['bind', 'an expression without cel.bind(), whose cost is not bounded'],
]);

/** Returns the call of a function. It is unknown if an argument is, or has another type. */
export function callOf(called: ExpressionFunction, parts: readonly Part[]): Evaluate {
  const call = called.call as (...values: Value[]) => Value | undefined;
  const types = parts.map((_, index) => jsTypes[called.parameters[called.repeats ? 0 : index]!]);
  const [first, second] = parts.map((part) => part.evaluate);
  if (parts.length === 1) {
    return (read) => {
      const value = first!(read);
      return value !== undefined && typeof value === types[0] ? call(value) : undefined;
    };
  }
  if (parts.length === 2) {
    return (read) => {
      const a = first!(read);
      const b = second!(read);
      const isKnown = a !== undefined && b !== undefined && typeof a === types[0] && typeof b === types[1];
      return isKnown ? call(a, b) : undefined;
    };
  }
  return (read) => {
    const values: Value[] = [];
    for (const part of parts) {
      const value = part.evaluate(read);
      if (value === undefined || typeof value !== types[values.length]) return undefined;
      values.push(value);
    }
    return call(...values);
  };
}

const jsTypes = { number: 'number', boolean: 'boolean', text: 'string' } as const;
