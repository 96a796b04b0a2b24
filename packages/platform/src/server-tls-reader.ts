import { statSync } from 'node:fs';
import { type ServerTlsFiles, type ServerTlsTexts, serverTlsTextsFrom } from './tls-files.ts';

/** A file that was changed within this time may change again without another time of its change, ms. */
const settledMs = 2_000;

/**
 * Reads the files of ports with TLS. Unchanged files are not read again: a revocation list may have many megabytes.
 * Ports with the same files share one reader, so that a change is read once.
 */
export class ServerTlsReader {
  /** How often the files were read. */
  reads = 0;
  readonly files: ServerTlsFiles;
  #texts: ServerTlsTexts | undefined;
  /** Of the files of `#texts`; '': they may have changed unseen. */
  #version = '';

  constructor(files: ServerTlsFiles) {
    this.files = files;
  }

  /**
   * Returns the texts, the same object while no file has changed. Throws as `serverTlsTextsFrom` does, for changed
   * files; the next call reads them again. `nowMs`: epoch.
   */
  read(nowMs: number): ServerTlsTexts {
    const version = versionOf(this.files, nowMs);
    if (this.#texts !== undefined && version !== '' && version === this.#version) return this.#texts;
    this.reads++;
    this.#texts = serverTlsTextsFrom(this.files, nowMs, this.#texts);
    this.#version = version;
    return this.#texts;
  }
}

/** Returns what differs when a file has changed; '' where that cannot be seen, as for a file that is missing. */
function versionOf(files: ServerTlsFiles, nowMs: number): string {
  const versions: string[] = [];
  for (const path of Object.values(files) as string[]) {
    if (path === '') continue;
    const found = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (found === undefined || nowMs - Number(found.mtimeMs) < settledMs) return '';
    const { dev, ino, size, mtimeNs, ctimeNs } = found;
    versions.push(`${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`);
  }
  return versions.join('\n');
}
