import { readFileSync } from 'node:fs';
import { TailraceError } from '@tailrace/protocol/error';

/** The certificates of the connection to ingest, as PEM. */
export interface TlsCertificates {
  /** The authorities of the certificate of ingest. Absent: those of Node.js. */
  readonly ca?: Buffer;
  /** The client certificate. Absent: none. */
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

export interface TlsFilesOptions {
  /** '' for none, as below. */
  readonly ingestCaFile: string;
  readonly ingestCertFile: string;
  readonly ingestKeyFile: string;
}

/** Reads the certificates of the connection to ingest for each attempt, so that they can be renewed. */
export class TlsFiles {
  readonly #options: TlsFilesOptions;
  #last: TlsCertificates;

  /** Throws `invalid_config` for a file that cannot be read. */
  constructor(options: TlsFilesOptions) {
    this.#options = options;
    this.#last = this.#read();
  }

  /** Returns the certificates; the former ones while a file cannot be read, as in the middle of a renewal. */
  certificates(): TlsCertificates {
    try {
      this.#last = this.#read();
    } catch {
      // At the next attempt again.
    }
    return this.#last;
  }

  #read(): TlsCertificates {
    const { ingestCaFile, ingestCertFile, ingestKeyFile } = this.#options;
    return {
      ...(ingestCaFile !== '' && { ca: contentOf('ingestCaFile', ingestCaFile) }),
      ...(ingestCertFile !== '' && {
        cert: contentOf('ingestCertFile', ingestCertFile),
        key: contentOf('ingestKeyFile', ingestKeyFile),
      }),
    };
  }
}

/** Returns undefined without files: then the certificates are those of Node.js. Throws `invalid_config`. */
export function tlsFilesFrom(options: TlsFilesOptions): TlsFiles | undefined {
  return options.ingestCaFile === '' && options.ingestCertFile === '' ? undefined : new TlsFiles(options);
}

function contentOf(setting: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    const { code = '' } = cause as NodeJS.ErrnoException;
    throw new TailraceError('invalid_config', `${setting}: expected a PEM file, got ${file}: ${code}`, { cause });
  }
}
