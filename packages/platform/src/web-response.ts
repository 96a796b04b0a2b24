import { STATUS_CODES } from 'node:http';

/** What an answer needs of a uWebSockets.js response; a test passes a literal. */
export interface WebResponse {
  cork(call: () => void): unknown;
  writeStatus(status: string): unknown;
  writeHeader(name: string, value: string): unknown;
  end(body?: string | Uint8Array, closeConnection?: boolean): unknown;
  onAborted(handler: () => void): unknown;
  /** Ours: answered or aborted. Touching the response after that throws in uWebSockets.js. */
  ended?: boolean;
  /** Ours: whoever wants to know of an abort. */
  abortCall?: () => void;
}

/** Names and values; constants of the caller, never a stranger's text. */
export type Headers = readonly (readonly [name: string, value: string])[];

const statusLines = new Map(Object.entries(STATUS_CODES).map(([code, reason]) => [Number(code), `${code} ${reason}`]));

/**
 * To be called in every handler that does not answer before it returns; `readBody` does it. From then on `respond` is
 * safe whenever it comes. `onAbort` is called if the client goes before the answer; the last one given counts, which
 * replaces the one before.
 */
export function watchAbort(res: WebResponse, onAbort?: () => void): void {
  if (onAbort) res.abortCall = onAbort;
  if (res.ended !== undefined) return;
  res.ended = false;
  res.onAborted(() => {
    if (res.ended) return;
    res.ended = true;
    res.abortCall?.();
  });
}

/**
 * Answers, in one write, and closes the connection after it: the library closes what is idle for 10 s, and a load
 * balancer, which keeps connections for 60, would sooner or later send into a closed one. False, and nothing happens,
 * where the client has gone or an answer was given.
 */
export function respond(res: WebResponse, status: number, headers: Headers, body: string | Uint8Array = ''): boolean {
  if (res.ended) return false;
  res.ended = true;
  res.cork(() => {
    res.writeStatus(statusLines.get(status) ?? String(status));
    for (const [name, value] of headers) res.writeHeader(name, value);
    res.end(body, true);
  });
  return true;
}
