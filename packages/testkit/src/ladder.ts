import { isTailraceError, shown, TailraceError } from '@tailrace/protocol/error';

/** Where a broker comes from. */
export type Rung = 'environment' | 'testcontainers' | 'local';

/** Values of `TAILRACE_TEST_BROKERS`. */
export type BrokerOrder = 'auto' | 'environment' | 'docker' | 'local';

const orders: Readonly<Record<BrokerOrder, readonly Rung[]>> = {
  auto: ['environment', 'local', 'testcontainers'],
  environment: ['environment'],
  docker: ['testcontainers'],
  local: ['local'],
};

/** What a launcher reads from the environment of the process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The rungs to try, in order, by `TAILRACE_TEST_BROKERS`.
 *
 * `auto`, the default: an address in the environment; else a process on this machine; else a container. The process
 * comes before the container because it is up in 2 s instead of 10 and because chaos tests can stop, pause and kill it
 * like any other process. The other values try one rung only.
 */
export function rungsFrom(env: Environment): readonly Rung[] {
  const value = env['TAILRACE_TEST_BROKERS'] || 'auto';
  if (!Object.hasOwn(orders, value)) {
    throw new TailraceError(
      'invalid_config',
      `TAILRACE_TEST_BROKERS is ${shown(value)}; it may be ${Object.keys(orders).join(', ')}`,
    );
  }
  return orders[value as BrokerOrder];
}

/**
 * Says that a rung needs something that this machine does not have: the ladder goes on to the next one. Every other
 * error ends the climb: a broker that was found and does not work is a fault to be seen, not to be stepped over.
 */
export function missing(what: string, cause?: unknown): TailraceError {
  return new TailraceError('not_found', what, cause === undefined ? {} : { cause });
}

/**
 * Tries the rungs in order and resolves with the first broker. When none can: `unavailable`, with each rung's reason
 * and `advice`, what to install. Never a silent skip.
 */
export async function climb<T>(
  name: string,
  rungs: readonly Rung[],
  attempts: Readonly<Record<Rung, () => Promise<T>>>,
  advice: string,
): Promise<T> {
  const reasons: string[] = [];
  const causes: unknown[] = [];
  for (const rung of rungs) {
    try {
      return await attempts[rung]();
    } catch (error) {
      if (!isTailraceError(error) || error.code !== 'not_found') throw error;
      reasons.push(`${rung}: ${error.message}`);
      causes.push(error);
    }
  }
  throw new TailraceError('unavailable', `no ${name} to test with.\n  ${reasons.join('\n  ')}\n${advice}`, {
    retryable: false,
    cause: new AggregateError(causes),
  });
}
