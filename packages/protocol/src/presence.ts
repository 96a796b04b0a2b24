import { countOf, type Fields, listFrom, numberOf, textOf } from './message-fields.ts';

/** The device has been silent for longer than its own rhythm allows. */
export interface Stale {
  readonly device: string;
  /** Its last report, epoch ms by ingest's clock. */
  readonly since: number;
}

/** A device that was stale or offline speaks again. */
export interface Online {
  readonly device: string;
}

/** Silent for so long, or gone by its own word, that nothing is expected. */
export interface Offline {
  readonly device: string;
  /** Its last report, epoch ms by ingest's clock. */
  readonly since: number;
}

/** The server cannot hear some partitions of the view: silence says nothing of the devices until `restored`. */
export interface Interrupted {
  readonly view: number;
  /** Epoch ms by the server's clock. */
  readonly since: number;
  readonly partitions: readonly number[];
}

export interface Restored {
  readonly view: number;
}

/** Of the operators, to everybody. */
export interface Notice {
  /** `info`, `warning` or `critical`; a later server may know more. */
  readonly severity: string;
  readonly message: string;
  /** Epoch ms. */
  readonly time: number;
}

/** Throws `invalid_message`, as all here do. */
export function silenceFrom(fields: Fields, kind: 'stale' | 'offline'): Stale {
  return { device: textOf(fields, 'device', kind), since: numberOf(fields, 'since', kind, 0) };
}

export function interruptedFrom(fields: Fields): Interrupted {
  return {
    view: countOf(fields, 'view', 'interrupted', 0),
    since: numberOf(fields, 'since', 'interrupted', 0),
    partitions: partitionsFrom(fields['partitions'], 'interrupted.partitions'),
  };
}

export function noticeFrom(fields: Fields): Notice {
  return {
    severity: textOf(fields, 'severity', 'notice', 'info'),
    message: textOf(fields, 'message', 'notice', ''),
    time: numberOf(fields, 'time', 'notice', 0),
  };
}

/** A list of partition numbers; absent: none. */
export function partitionsFrom(value: unknown, where: string): readonly number[] {
  return listFrom(value, where).map((partition: unknown) => countOf({ partition }, 'partition', where));
}
