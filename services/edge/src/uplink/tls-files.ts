import { type TlsTexts, tlsTextsFrom } from '@tailrace/platform/tls-files';

export interface TlsFilesOptions {
  /** '' for none, as below. */
  readonly ingestCaFile: string;
  readonly ingestCertFile: string;
  readonly ingestKeyFile: string;
}

/** The certificates of the connection to ingest, as options of `tls.connect`. */
export type TlsCertificates = Partial<Readonly<Record<keyof TlsTexts, string>>>;

/** Reads the certificates of the connection to ingest for each attempt, so that they can be renewed. */
export class TlsFiles {
  readonly #options: TlsFilesOptions;
  #last: TlsCertificates;

  /** Throws `invalid_config` for a file that cannot be used. */
  constructor(options: TlsFilesOptions) {
    this.#options = options;
    this.#last = this.#read();
  }

  /** Returns the certificates; the former ones while a file cannot be used, as in the middle of a renewal. */
  certificates(): TlsCertificates {
    try {
      this.#last = this.#read();
    } catch {
      // At the next attempt again.
    }
    return this.#last;
  }

  #read(): TlsCertificates {
    const { ingestCaFile: ca, ingestCertFile: cert, ingestKeyFile: key } = this.#options;
    const texts = tlsTextsFrom('ingest', { ca, cert, key });
    // `ca: undefined` is not the same as no `ca` to each of the libraries that take them.
    return Object.fromEntries(Object.entries(texts).filter(([, text]) => text !== undefined));
  }
}

/** Returns undefined without files: then the certificates are those of Node.js. Throws `invalid_config`. */
export function tlsFilesFrom(options: TlsFilesOptions): TlsFiles | undefined {
  return options.ingestCaFile === '' && options.ingestCertFile === '' ? undefined : new TlsFiles(options);
}
