import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { TlsPaths } from './broker-settings.ts';
import { variableFrom } from './config-keys.ts';

/** Options of `tls.connect`; undefined: the public authorities, and no client certificate. */
export interface TlsTexts {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/**
 * Returns the PEM texts of the files that are set. Throws `invalid_config` with setting and path for a file that cannot
 * be read or has no valid content, for a key of another certificate, and for a client certificate that has expired or
 * is not valid yet: the server would only close the connection. `broker`: the prefix of the settings.
 */
export function tlsTextsFrom(broker: 'kafka' | 'nats', paths: TlsPaths, nowMs: number): TlsTexts {
  const names = { ca: `${broker}TlsCaFile`, cert: `${broker}TlsCertFile`, key: `${broker}TlsKeyFile` };
  return textsFrom(names, paths, nowMs);
}

/** Files of a port with TLS; `clientCa` is empty if clients are not asked for a certificate. */
export interface ServerTlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string;
}

export interface ServerTlsTexts {
  /** Options of `tls.createServer`. */
  readonly context: TlsTexts;
  /** When the certificate expires, epoch ms. */
  readonly expiresAt: number;
}

/** Returns the PEM texts of the files of a port with TLS. Throws as `tlsTextsFrom` does. */
export function serverTlsTextsFrom({ cert, key, clientCa }: ServerTlsFiles, nowMs: number): ServerTlsTexts {
  const names = { ca: 'tlsClientCaFile', cert: 'tlsCertFile', key: 'tlsKeyFile' };
  const context = textsFrom(names, { ca: clientCa, cert, key }, nowMs);
  return { context, expiresAt: Date.parse(new X509Certificate(context.cert ?? '').validTo) };
}

function textsFrom(names: TlsPaths, paths: TlsPaths, nowMs: number): TlsTexts {
  const ca = textOf(names.ca, paths.ca);
  const cert = textOf(names.cert, paths.cert);
  const key = textOf(names.key, paths.key);
  if (ca !== undefined) certificateFrom(names.ca, paths.ca, ca);
  if (cert === undefined || key === undefined) return { ca, cert, key };
  const own = certificateFrom(names.cert, paths.cert, cert);
  assertInTime(names.cert, paths.cert, own, nowMs);
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
