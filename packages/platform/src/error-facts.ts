/** Of the depth of causes, and of the errors of an AggregateError. */
const causesMax = 5;

export interface ErrorFacts {
  readonly name: string;
  readonly message: string;
  readonly code?: string | number;
  readonly retryable?: boolean;
  readonly stack?: string;
  readonly cause?: unknown;
  readonly errors?: readonly ErrorFacts[];
}

/**
 * Returns an error as a plain object for the log: name, message, code, stack, and its causes, at most five levels deep,
 * also where causes are circular.
 */
export function errorFacts(error: Error, depth = 0): ErrorFacts {
  const { code, retryable } = error as Error & { code?: unknown; retryable?: unknown };
  const deeper = depth + 1 < causesMax;
  return {
    name: error.name,
    message: error.message,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(typeof retryable === 'boolean' ? { retryable } : {}),
    ...(error.stack === undefined ? {} : { stack: error.stack }),
    ...(error.cause !== undefined && deeper ? { cause: causeFacts(error.cause, depth + 1) } : {}),
    ...(error instanceof AggregateError && deeper ? { errors: memberFacts(error.errors, depth + 1) } : {}),
  };
}

function causeFacts(cause: unknown, depth: number): unknown {
  return cause instanceof Error ? errorFacts(cause, depth) : cause;
}

function memberFacts(members: readonly unknown[], depth: number): ErrorFacts[] {
  return members
    .filter((member) => member instanceof Error)
    .slice(0, causesMax)
    .map((member) => errorFacts(member, depth));
}
