import type { Answers, Reached } from '../chaos/client-processes.ts';

/** Port of the clients' pod, on loopback. */
export const clientsPort = 7070;

/** Requests to the pod of devices and clients. */
export interface ClientRequests {
  /** Starts devices, and connects clients. */
  open: {
    readonly clients: number;
    readonly devices: number;
    /** Report interval of each device. */
    readonly intervalMs: number;
    readonly streamUrl: string;
    readonly ingestUrl: string;
  };
  /** Starts the measurement of a disruption. */
  startDisruption: Record<string, never>;
  /**
   * Answered when every client is live and has received reports sent after the request, or at the deadline.
   * `everything`: devices stop, and clients must have all acknowledged reports.
   */
  reach: { readonly deadlineMs: number; readonly everything: boolean };
  /** Closes all clients, and checks the whole run. */
  end: Record<string, never>;
}

export interface ClientReplies {
  open: null;
  /** Load of the machine, which may cause pauses too. */
  startDisruption: { readonly load: string };
  reach: ClientsReached;
  end: Answers['end'];
}

export interface ClientsReached extends Omit<Reached, 'losses'> {
  readonly losses: readonly (readonly [string, number])[];
  /** Requests that the devices retried, and the last error of ingest. */
  readonly retries: number;
  readonly lastRefusal: string;
}

export type ClientRequestKind = keyof ClientRequests;
