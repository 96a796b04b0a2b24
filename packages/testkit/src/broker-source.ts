import { isTailraceError, shown, TailraceError } from '@tailrace/protocol/error';

/** Where a broker comes from. */
export type BrokerSource = 'environment' | 'testcontainers' | 'local';

/** Values of `TAILRACE_TEST_BROKERS`. */
export type BrokerChoice = 'auto' | 'environment' | 'docker' | 'local';

const sourcesOf: Readonly<Record<BrokerChoice, readonly BrokerSource[]>> = {
  auto: ['environment', 'local', 'testcontainers'],
  environment: ['environment'],
  docker: ['testcontainers'],
  local: ['local'],
};

/** Environment variables. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Returns the sources to try, in order, by `TAILRACE_TEST_BROKERS`.
 *
 * `auto`, the default: an address in the environment; else a local process; else a container. The process comes before
 * the container because it is up in 2 s instead of 10, and because chaos tests can stop, pause and kill it like any
 * other process. The other values try one source only.
 */
export function brokerSourcesFrom(env: Environment): readonly BrokerSource[] {
  const value = env['TAILRACE_TEST_BROKERS'] || 'auto';
  if (!Object.hasOwn(sourcesOf, value)) {
    throw new TailraceError(
      'invalid_config',
      `TAILRACE_TEST_BROKERS: expected one of ${Object.keys(sourcesOf).join(', ')}, got ${shown(value)}`,
    );
  }
  return sourcesOf[value as BrokerChoice];
}

/**
 * Returns the error for something that a source needs and this machine does not have: the next source is tried. Any
 * other error is final: a broker that exists and does not work must not be hidden by another one.
 */
export function missing(what: string, cause?: unknown): TailraceError {
  return new TailraceError('not_found', what, cause === undefined ? {} : { cause });
}

/**
 * Tries the sources in order and resolves with the first broker. Rejects with `unavailable` if there is none, with the
 * reason of each source and `advice`, what to install.
 */
export async function firstAvailable<T>(
  name: string,
  sources: readonly BrokerSource[],
  attempts: Readonly<Record<BrokerSource, () => Promise<T>>>,
  advice: string,
): Promise<T> {
  const reasons: string[] = [];
  const causes: unknown[] = [];
  for (const source of sources) {
    try {
      return await attempts[source]();
    } catch (error) {
      if (!isTailraceError(error) || error.code !== 'not_found') throw error;
      reasons.push(`${source}: ${error.message}`);
      causes.push(error);
    }
  }
  throw new TailraceError('unavailable', `no ${name} to test with.\n  ${reasons.join('\n  ')}\n${advice}`, {
    retryable: false,
    cause: new AggregateError(causes),
  });
}
