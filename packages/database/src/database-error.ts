import { isTailraceError, TailraceError } from '@tailrace/protocol/error';

/** What a server reports about a failed statement (PostgreSQL, "55.8. Error and Notice Message Fields"). */
export interface ServerReport {
  readonly message: string;
  /** SQLSTATE, or Node's code of a failed connection. */
  readonly code?: string | undefined;
  readonly constraint?: string | undefined;
  readonly detail?: string | undefined;
}

type ErrorForm = (report: ServerReport, cause: unknown) => TailraceError;

const unavailable: ErrorForm = ({ message }, cause) =>
  new TailraceError('unavailable', `database: ${message}`, { cause });
const timeout: ErrorForm = ({ message }, cause) => new TailraceError('timeout', `database: ${message}`, { cause });
const retryableConflict: ErrorForm = ({ message }, cause) =>
  new TailraceError('conflict', `transaction: ${message}; run it again`, { cause, retryable: true });
const invalid: ErrorForm = ({ message }, cause) => new TailraceError('invalid_message', `value: ${message}`, { cause });

/** By SQLSTATE, then by its class, the first two letters (PostgreSQL, "Appendix A. PostgreSQL Error Codes"). */
const forms: ReadonlyMap<string, ErrorForm> = new Map<string, ErrorForm>([
  ['08', unavailable],
  ['57', unavailable],
  ['58', unavailable],
  ['53', unavailable],
  // A server that became a replica.
  ['25006', unavailable],
  ['25P03', timeout],
  ['25P04', timeout],
  ['53100', ({ message }, cause) => new TailraceError('storage_full', `database: ${message}`, { cause })],
  [
    '53200',
    ({ message }, cause) => new TailraceError('limit_reached', `database: ${message}`, { cause, retryable: true }),
  ],
  ['57014', (report, cause) => (/timeout/.test(report.message) ? timeout : canceled)(report, cause)],
  ['55P03', timeout],
  ['40001', retryableConflict],
  ['40P01', retryableConflict],
  ['22', invalid],
  ['23', conflict],
  ['28', ({ message }, cause) => new TailraceError('unauthorized', `database: ${message}`, { cause })],
  ['3D000', ({ message }, cause) => new TailraceError('not_found', message, { cause })],
  ['42501', ({ message }, cause) => new TailraceError('forbidden', `database: ${message}`, { cause })],
]);

/** Returns whether it is a code of Node for a connection that cannot be opened or was lost, which is retryable. */
export function isConnectionCode(code: string | undefined): code is string {
  return code !== undefined && /^E[A-Z_]+$/.test(code);
}

/** Returns any error of an adapter as a TailraceError, with the original as its cause. */
export function databaseErrorFrom(thrown: unknown): TailraceError {
  if (isTailraceError(thrown)) return thrown;
  const report = thrown as ServerReport;
  const code = typeof report?.code === 'string' ? report.code : '';
  const form = forms.get(code) ?? (code.length === 5 ? forms.get(code.slice(0, 2)) : undefined);
  if (form !== undefined) return form(report, thrown);
  // The message of Node has the address of the server.
  if (isConnectionCode(code)) return unavailable({ ...report, message: code }, thrown);
  return new TailraceError('internal', 'database: invalid statement; see the server log', { cause: thrown });
}

/** Returns the name of the constraint that a statement violated; undefined for any other error. */
export function constraintOf(error: unknown): string | undefined {
  if (!isTailraceError(error) || error.code !== 'conflict') return undefined;
  return (error.cause as Partial<ServerReport> | undefined)?.constraint;
}

function canceled({ message }: ServerReport, cause: unknown): TailraceError {
  return new TailraceError('canceled', `database: ${message}`, { cause });
}

function conflict({ message, constraint, detail }: ServerReport, cause: unknown): TailraceError {
  const what = constraint === undefined ? message : `${constraint}: ${message}`;
  return new TailraceError('conflict', detail === undefined ? what : `${what}; ${detail}`, { cause });
}
