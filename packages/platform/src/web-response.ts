import { STATUS_CODES } from 'node:http';

/** The part of a uWebSockets.js response that is used; a test passes a literal. */
export interface WebResponse {
  cork(call: () => void): unknown;
  writeStatus(status: string): unknown;
  writeHeader(name: string, value: string): unknown;
  end(body?: string | Uint8Array, closeConnection?: boolean): unknown;
  onAborted(handler: () => void): unknown;
  /** Added here: responded or aborted. A later call on the response throws in uWebSockets.js. */
  isFinished?: boolean;
  /** Added here: the client closed the connection before the response. */
  isAborted?: boolean;
  /** Added here: called on an abort. */
  abortHandler?: () => void;
}

/** Names and values; constants of the caller, never texts of a client. */
export type Headers = readonly (readonly [name: string, value: string])[];

const statusLines = new Map(Object.entries(STATUS_CODES).map(([code, reason]) => [Number(code), `${code} ${reason}`]));

/**
 * Must be called in every handler that does not respond before it returns; `readBody` calls it. From then on `respond`
 * may be called at any time. `onAbort` is called if the client closes the connection before the response; it replaces
 * an earlier one.
 */
export function watchAbort(res: WebResponse, onAbort?: () => void): void {
  if (onAbort) res.abortHandler = onAbort;
  if (res.isFinished !== undefined) return;
  res.isFinished = false;
  res.onAborted(() => {
    if (res.isFinished) return;
    res.isFinished = true;
    res.isAborted = true;
    res.abortHandler?.();
  });
}

/**
 * Writes the response, in one write, and closes the connection after it. The library closes connections that are idle
 * for 10 s, and a load balancer, which keeps them for 60 s, would send requests into a closed one. Returns false and
 * does nothing if the client has closed the connection or the response was written before.
 */
export function respond(res: WebResponse, status: number, headers: Headers, body: string | Uint8Array = ''): boolean {
  if (res.isFinished) return false;
  res.isFinished = true;
  res.cork(() => {
    res.writeStatus(statusLines.get(status) ?? String(status));
    for (const [name, value] of headers) res.writeHeader(name, value);
    res.end(body, true);
  });
  return true;
}
