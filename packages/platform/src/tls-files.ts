import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { TlsPaths } from './broker-settings.ts';
import { variableFrom } from './config-keys.ts';
import { type RevocationListPeriod, revocationListPeriod } from './revocation-list.ts';

/** Options of `tls.connect`; undefined: the public authorities, and no client certificate. */
export interface TlsTexts {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/**
 * Returns the PEM texts of the files that are set. Throws `invalid_config` with setting and path for a file that cannot
 * be read or has no valid content, for a key of another certificate, and for a client certificate that has expired or
 * is not valid yet: the server would only close the connection. `prefix`: of the settings. Without `nowMs` the period
 * is not checked: a gateway with an incorrect clock still has to read its machines.
 */
export function tlsTextsFrom(
  prefix: 'kafkaTls' | 'natsTls' | 'databaseTls' | 'ingest',
  paths: TlsPaths,
  nowMs?: number,
): TlsTexts {
  const names = { ca: `${prefix}CaFile`, cert: `${prefix}CertFile`, key: `${prefix}KeyFile` };
  return textsFrom(names, paths, nowMs);
}

/**
 * Files of a port with TLS; `clientCa` is empty if clients are not asked for a certificate, `clientCrl` if no list has
 * those that their authorities have revoked.
 */
export interface ServerTlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string;
  readonly clientCrl: string;
}

export interface ServerTlsTexts {
  /** Options of `tls.createServer`. */
  readonly context: TlsTexts & { readonly crl: string[] | undefined };
  /** When the certificate expires, epoch ms. */
  readonly expiresAt: number;
  /** The period in which all revocation lists are valid. */
  readonly listed: RevocationListPeriod;
}

/** Most bytes of the file with revocation lists: about 300,000 certificates. */
export const clientCrlBytesMax = 16 * 1_048_576;
/** The start of a revocation list that has its times: they follow the name of the issuer. */
const listHeadLetters = 16_384;

/**
 * Returns the PEM texts of the files of a port with TLS. Throws as `tlsTextsFrom` does. `former`: those in use, whose
 * revocation lists are not parsed again.
 */
export function serverTlsTextsFrom(files: ServerTlsFiles, nowMs: number, former?: ServerTlsTexts): ServerTlsTexts {
  const { cert, key, clientCa, clientCrl } = files;
  const names = { ca: 'tlsClientCaFile', cert: 'tlsCertFile', key: 'tlsKeyFile' };
  const texts = textsFrom(names, { ca: clientCa, cert, key }, nowMs);
  const expiresAt = Date.parse(new X509Certificate(texts.cert ?? '').validTo);
  const text = textOf(crlSetting, clientCrl);
  const crl = text === undefined ? undefined : revocationListsIn(clientCrl, text);
  const isKnown = former !== undefined && crl?.join('') === former.context.crl?.join('');
  const listed = isKnown ? former.listed : periodOf(clientCrl, crl ?? []);
  return { context: { ...texts, crl }, expiresAt, listed };
}

const crlSetting = 'tlsClientCrlFile';

/** Returns each list by itself: Node.js reads the first list of a text alone. */
function revocationListsIn(path: string, text: string): string[] {
  if (text.length > clientCrlBytesMax) {
    throw fileError(crlSetting, path, `has ${text.length} bytes; expected at most ${clientCrlBytesMax}`);
  }
  const lists = text.match(/-----BEGIN X509 CRL-----[^-]+-----END X509 CRL-----/g);
  if (lists !== null) return lists;
  throw fileError(
    crlSetting,
    path,
    'holds no revocation list; expected a PEM file with -----BEGIN X509 CRL----- (openssl crl -inform DER converts it)',
  );
}

function periodOf(path: string, lists: string[]): RevocationListPeriod {
  let [from, until] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  try {
    if (lists.length > 0) createSecureContext({ crl: lists });
    for (const list of lists) {
      const head = list.slice('-----BEGIN X509 CRL-----'.length).replaceAll(/\s/g, '').slice(0, listHeadLetters);
      const period = revocationListPeriod(Buffer.from(head, 'base64'));
      from = Math.max(from, period.from);
      until = Math.min(until, period.until);
    }
  } catch {
    throw fileError(crlSetting, path, 'holds a revocation list that cannot be read; expected one of RFC 5280');
  }
  return { from, until };
}

function textsFrom(names: TlsPaths, paths: TlsPaths, nowMs: number | undefined): TlsTexts {
  const ca = textOf(names.ca, paths.ca);
  const cert = textOf(names.cert, paths.cert);
  const key = textOf(names.key, paths.key);
  if (ca !== undefined) certificateFrom(names.ca, paths.ca, ca);
  if (cert === undefined || key === undefined) return { ca, cert, key };
  const own = certificateFrom(names.cert, paths.cert, cert);
  if (nowMs !== undefined) assertInTime(names.cert, paths.cert, own, nowMs);
  if (!own.checkPrivateKey(privateKeyFrom(names.key, paths.key, key))) {
    const pair = `the certificate in ${shown(paths.cert)} (${names.cert})`;
    throw fileError(names.key, paths.key, `holds the key of another certificate than ${pair}; the two belong together`);
  }
  return { ca, cert, key };
}

function textOf(setting: string, path: string): string | undefined {
  if (path === '') return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw fileError(setting, path, readErrorReason(error));
  }
}

function readErrorReason(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'does not exist; mount the secret that has it, or leave the setting empty';
  if (code === 'EACCES') return 'may not be read by this user; grant it read permission';
  if (code === 'EISDIR') return 'is a folder; name the file in it';
  return `cannot be read: ${message}`;
}

function certificateFrom(setting: string, path: string, text: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch {
    // Without the parser's message and the content: it may be a key that was set by mistake.
    throw fileError(setting, path, 'holds no certificate; expected a PEM file with -----BEGIN CERTIFICATE-----');
  }
}

function privateKeyFrom(setting: string, path: string, text: string): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey(text);
  } catch {
    throw fileError(
      setting,
      path,
      'holds no private key without a passphrase; expected a PEM file with -----BEGIN PRIVATE KEY-----',
    );
  }
}

function assertInTime(setting: string, path: string, { validFrom, validTo }: X509Certificate, nowMs: number): void {
  if (nowMs > Date.parse(validTo)) {
    throw fileError(setting, path, `holds a certificate that expired on ${validTo}; replace it with a renewed one`);
  }
  if (nowMs < Date.parse(validFrom)) {
    throw fileError(
      setting,
      path,
      `holds a certificate that is valid from ${validFrom}; check it, and this machine's clock`,
    );
  }
}

function fileError(setting: string, path: string, what: string): TailraceError {
  return new TailraceError('invalid_config', `${setting} (${variableFrom(setting)}): ${shown(path)} ${what}`);
}
