/** One report of a request that was not taken. */
export interface Rejection {
  /** Of the report in the request, from 0. */
  readonly index: number;
  /** An ErrorCode; a later version may know more. */
  readonly code: string;
  /** What was wrong, with the value, and what would be right. */
  readonly message: string;
}

/** The answer to `POST /v1/ingest`, in JSON whatever the request was in. */
export interface IngestResult {
  /** Reports that are in the log. */
  readonly accepted: number;
  /** By index, ascending. Bounded as the request is. */
  readonly rejected: readonly Rejection[];
}

export function ingestResultJson(result: IngestResult): string {
  return JSON.stringify(result);
}
