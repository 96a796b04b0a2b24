import { countOf, type Fields, listFrom, numberOf, textOf } from './message-fields.ts';

/** The device has not reported for longer than its report interval allows. */
export interface Stale {
  readonly device: string;
  /** Its last report, epoch ms by ingest's clock. */
  readonly since: number;
}

/** A device that was stale or offline reports again. */
export interface Online {
  readonly device: string;
}

/** The device has not reported for so long that no report is expected, or has announced that it stops. */
export interface Offline {
  readonly device: string;
  /** Its last report, epoch ms by ingest's clock. */
  readonly since: number;
}

/** The server does not receive some partitions of the view. Until `restored`, devices may report without being seen. */
export interface Interrupted {
  readonly view: number;
  /** Epoch ms by the server's clock. */
  readonly since: number;
  readonly partitions: readonly number[];
}

export interface Restored {
  readonly view: number;
}

/** A notice from the operators to all clients. */
export interface Notice {
  /** `info`, `warning` or `critical`; later servers may add more. */
  readonly severity: string;
  readonly message: string;
  /** Epoch ms. */
  readonly time: number;
}

/** Parses `stale` or `offline`. Throws `invalid_message`. */
export function staleOrOfflineFrom(fields: Fields, kind: 'stale' | 'offline'): Stale {
  return { device: textOf(fields, 'device', kind), since: numberOf(fields, 'since', kind, 0) };
}

/** Throws `invalid_message`. */
export function interruptedFrom(fields: Fields): Interrupted {
  return {
    view: countOf(fields, 'view', 'interrupted', 0),
    since: numberOf(fields, 'since', 'interrupted', 0),
    partitions: partitionsFrom(fields['partitions'], 'interrupted.partitions'),
  };
}

/** Throws `invalid_message`. */
export function noticeFrom(fields: Fields): Notice {
  return {
    severity: textOf(fields, 'severity', 'notice', 'info'),
    message: textOf(fields, 'message', 'notice', ''),
    time: numberOf(fields, 'time', 'notice', 0),
  };
}

/** Parses a list of partition numbers; empty where it is absent. Throws `invalid_message`. */
export function partitionsFrom(value: unknown, where: string): readonly number[] {
  return listFrom(value, where).map((partition: unknown) => countOf({ partition }, 'partition', where));
}
