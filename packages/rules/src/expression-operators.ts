import type { Evaluate } from './expression-value.ts';

/**
 * The three-valued logic of Kleene, as CEL has it for errors: false decides `&&` and true decides `||`, whatever the
 * other side is. Every other operator is unknown if one of its sides is. Each returns a closure that allocates nothing.
 */
export function and(left: Evaluate, right: Evaluate): Evaluate {
  return (read) => {
    const a = left(read);
    if (a === false) return false;
    const b = right(read);
    if (b === false) return false;
    return a === true && b === true ? true : undefined;
  };
}

export function or(left: Evaluate, right: Evaluate): Evaluate {
  return (read) => {
    const a = left(read);
    if (a === true) return true;
    const b = right(read);
    if (b === true) return true;
    return a === false && b === false ? false : undefined;
  };
}

export function not(operand: Evaluate): Evaluate {
  return (read) => {
    const value = operand(read);
    return typeof value === 'boolean' ? !value : undefined;
  };
}

export function choice(condition: Evaluate, yes: Evaluate, no: Evaluate): Evaluate {
  return (read) => {
    const value = condition(read);
    if (value === true) return yes(read);
    return value === false ? no(read) : undefined;
  };
}

/** Values of different types are not equal. */
export function equal(left: Evaluate, right: Evaluate): Evaluate {
  return (read) => {
    const a = left(read);
    if (a === undefined) return undefined;
    const b = right(read);
    return b === undefined ? undefined : a === b;
  };
}

/** True if one is equal. Else unknown if one is unknown. */
export function oneOf(operand: Evaluate, elements: readonly Evaluate[]): Evaluate {
  return (read) => {
    const value = operand(read);
    if (value === undefined) return undefined;
    let isUnknown = false;
    for (const element of elements) {
      const other = element(read);
      if (other === value) return true;
      if (other === undefined) isUnknown = true;
    }
    return isUnknown ? undefined : false;
  };
}

export type Comparison = '<' | '<=' | '>' | '>=';

const comparisons: Readonly<Record<Comparison, (order: number) => boolean>> = {
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
};

/** Numbers by size, texts by UTF-16 code units. */
export function compare(operator: Comparison, left: Evaluate, right: Evaluate): Evaluate {
  const isTrue = comparisons[operator];
  return (read) => {
    const a = left(read);
    const b = right(read);
    const isComparable =
      (typeof a === 'number' && typeof b === 'number') || (typeof a === 'string' && typeof b === 'string');
    return isComparable ? isTrue(a < b! ? -1 : a > b! ? 1 : 0) : undefined;
  };
}

export type Arithmetic = '+' | '-' | '*' | '/' | '%';

const arithmetic: Readonly<Record<Arithmetic, (a: number, b: number) => number>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '%': (a, b) => a % b,
};

/** A result that is not finite, as of a division by zero, is unknown. `+` of two texts is the one after the other. */
export function calculate(operator: Arithmetic, left: Evaluate, right: Evaluate): Evaluate {
  const operation = arithmetic[operator];
  const joins = operator === '+';
  return (read) => {
    const a = left(read);
    const b = right(read);
    if (typeof a === 'number' && typeof b === 'number') return finite(operation(a, b));
    return joins && typeof a === 'string' && typeof b === 'string' ? a + b : undefined;
  };
}

export function negate(operand: Evaluate): Evaluate {
  return (read) => {
    const value = operand(read);
    return typeof value === 'number' ? -value : undefined;
  };
}

export function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined;
}
