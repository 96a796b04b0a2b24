import { TailraceError } from '@tailrace/protocol/error';
import type { StartPositions } from './event-log.ts';
import type { Membership, Source } from './group-ports.ts';

export interface StartPositionsRequest {
  readonly topics: readonly string[];
  readonly partitions: readonly number[];
  /** The answer of the subscriber, without promises. */
  readonly given: StartPositions | undefined;
  readonly membership: Pick<Membership, 'committed'>;
  readonly source: Pick<Source, 'firstPositions'>;
  report(error: TailraceError): void;
}

/** By topic, then partition. */
export type KnownPositions = ReadonlyMap<string, readonly number[]>;

/**
 * Resolves with the start positions of gained partitions: from the subscriber, else the committed position of the
 * group, else the first position. Requests the latter two only if needed, and rejects as these requests do.
 */
export async function startPositionsOf(request: StartPositionsRequest): Promise<KnownPositions> {
  const { topics, partitions, given, membership, source, report } = request;
  const positions = new Map<string, (number | undefined)[]>();
  for (const topic of topics) {
    const known: (number | undefined)[] = [];
    for (const partition of partitions) {
      const position = given?.[topic]?.[partition];
      if (isPosition(position)) known[partition] = position;
      else if (position !== undefined) {
        const message = `start of ${topic}/${partition}: expected a position of 0 or more, got ${position}`;
        report(new TailraceError('invalid_position', message));
      }
    }
    positions.set(topic, known);
  }
  const missing = (known: readonly (number | undefined)[]) =>
    partitions.filter((partition) => known[partition] === undefined);
  if ([...positions.values()].some((known) => missing(known).length > 0)) {
    const committed = await membership.committed(partitions);
    for (const [topic, known] of positions) {
      for (const partition of missing(known)) known[partition] = committed.get(topic)?.get(partition);
      const unknown = missing(known);
      if (unknown.length === 0) continue;
      const firsts = await source.firstPositions(topic, unknown);
      for (const partition of unknown) known[partition] = firsts[partition] ?? 0;
    }
  }
  return positions as KnownPositions;
}

/** Returns whether the subscriber has answered with a promise for the partition. */
export function startsLater(topics: readonly string[], partition: number, given: StartPositions | undefined): boolean {
  return topics.some((topic) => typeof given?.[topic]?.[partition] === 'object');
}

/** Resolves with the start positions of the partition when all are known. Rejects as one of its promises does. */
export async function resolvedStarts(
  topics: readonly string[],
  partition: number,
  given: StartPositions,
): Promise<StartPositions> {
  const positions = await Promise.all(topics.map((topic) => given[topic]?.[partition]));
  const known: Record<string, Record<number, number>> = {};
  for (const [index, topic] of topics.entries()) {
    if (positions[index] !== undefined) known[topic] = { [partition]: positions[index] };
  }
  return known;
}

function isPosition(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
