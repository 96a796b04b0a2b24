import { TailraceError } from '@tailrace/protocol/error';
import { variableFrom } from './config-keys.ts';

/** Where a server listens, and by which setting. */
export interface ListenAddress {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** The key of the setting of the port: `internalPort`. */
  readonly portSetting: string;
}

/** Returns the error for a port that is not available, with what to change. `code`: of Node.js, as EADDRINUSE. */
export function listenError(
  address: ListenAddress,
  code: string | undefined,
  cause?: unknown,
  platform: string = process.platform,
): TailraceError {
  const { host, port, portSetting } = address;
  const place = `${host}:${port}`;
  const setting = `${portSetting} (${variableFrom(portSetting)})`;
  switch (code) {
    case 'EADDRINUSE': {
      const lister = platform === 'darwin' ? `lsof -nP -iTCP:${port} -sTCP:LISTEN` : `ss -ltnp 'sport = :${port}'`;
      return new TailraceError(
        'address_in_use',
        `port ${port} on ${host} is in use by another process: stop that one (${lister} names it) or set ${setting} to a free port`,
        { cause },
      );
    }
    case 'EACCES':
      return new TailraceError(
        'invalid_config',
        `no permission to listen on ${place}: set ${setting} to a port of 1024 or above`,
        { cause },
      );
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new TailraceError(
        'invalid_config',
        `${host} is no address of this machine: set the host beside ${setting} to one of its own, or to 0.0.0.0 for all`,
        {
          cause,
        },
      );
    default:
      return new TailraceError(
        'unavailable',
        `cannot listen on ${place}${code ? ` (${code})` : ''}: set ${setting} to another port`,
        { cause },
      );
  }
}
