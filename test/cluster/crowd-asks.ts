import type { Answers, Reached } from '../chaos/client-processes.ts';

/** Loopback of the crowd's pod. */
export const crowdPort = 7070;

/** What the pod of devices and clients can be asked. */
export interface CrowdAsks {
  /** Devices begin to report, clients to connect. */
  open: {
    readonly clients: number;
    readonly devices: number;
    /** Each device reports this often. */
    readonly intervalMs: number;
    readonly streamUrl: string;
    readonly ingestUrl: string;
  };
  /** Something is about to be done to the system. */
  begin: Record<string, never>;
  /**
   * Answered when every client is live and was shown what comes from now on, or at the deadline. `everything`: no
   * device reports any more, and what was acknowledged is enough.
   */
  reach: { readonly deadlineMs: number; readonly everything: boolean };
  /** Closes all clients, and judges the whole run. */
  end: Record<string, never>;
}

export interface CrowdAnswers {
  open: null;
  /** How busy the machine is: pauses are its own as well. */
  begin: { readonly load: string };
  reach: CrowdReached;
  end: Answers['end'];
}

export interface CrowdReached extends Omit<Reached, 'losses'> {
  readonly losses: readonly (readonly [string, number])[];
  /** Requests that the devices sent again, and what ingest said last that was no success. */
  readonly retries: number;
  readonly lastRefusal: string;
}

export type CrowdAsk = keyof CrowdAsks;
