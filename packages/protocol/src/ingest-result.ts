/** A report of a request that was not accepted. */
export interface Rejection {
  /** Index of the report in the request, from 0. */
  readonly index: number;
  /** An `ErrorCode`; later versions may add more. */
  readonly code: string;
  /** What was expected, and the invalid value. */
  readonly message: string;
}

/** The response to `POST /v1/ingest`. JSON for every request format. */
export interface IngestResult {
  /** Number of reports that are in the log. */
  readonly accepted: number;
  /** In ascending order of index. Bounded by the size of the request. */
  readonly rejected: readonly Rejection[];
}

export function ingestResultJson(result: IngestResult): string {
  return JSON.stringify(result);
}
