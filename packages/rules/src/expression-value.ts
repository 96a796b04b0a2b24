/** A value of a tag. Whole numbers are numbers as all others: the language has no integers of its own here. */
export type Value = number | boolean | string;

export type TagType = 'number' | 'boolean' | 'text';

/** Returns the last value of a tag; undefined if it is missing, or not to be trusted. */
export type ValueOf = (tag: string) => Value | undefined;

/** Returns the value of a part of an expression; undefined if it is unknown. Never throws. */
export type Evaluate = (read: ValueOf) => Value | undefined;

/** A part of an expression. The type is `unknown` if it depends on a tag whose type is unknown. */
export interface Part {
  readonly type: TagType | 'unknown';
  readonly evaluate: Evaluate;
  /** Place of its first character in the text. */
  readonly at: number;
}

export function typeOf(value: Value): TagType {
  switch (typeof value) {
    case 'number':
      return 'number';
    case 'boolean':
      return 'boolean';
    case 'string':
      return 'text';
  }
}

const nouns = { number: 'a number', boolean: 'a boolean', text: 'a text', unknown: 'a value' } as const;

/** Returns the type with its article, for an error message. */
export function typeNoun(type: Part['type']): string {
  return nouns[type];
}
