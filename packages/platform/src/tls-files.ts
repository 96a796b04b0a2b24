import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { TlsPaths } from './broker-settings.ts';
import { variableFrom } from './config-keys.ts';

/** As `tls.connect` takes them; undefined: the public authorities, and no certificate of our own. */
export interface TlsTexts {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/**
 * The PEM texts of the files that are set. Throws `invalid_config` that names the setting and the path for a file that cannot be read or
 * is not what it should be, for a key of another certificate, and for an own certificate whose time is over or has not come: the other side
 * would only hang up. `broker`: what the settings' names begin with.
 */
export function tlsTextsFrom(broker: 'kafka' | 'nats', paths: TlsPaths, nowMs: number): TlsTexts {
  const names = { ca: `${broker}TlsCaFile`, cert: `${broker}TlsCertFile`, key: `${broker}TlsKeyFile` };
  const ca = textOf(names.ca, paths.ca);
  const cert = textOf(names.cert, paths.cert);
  const key = textOf(names.key, paths.key);
  if (ca !== undefined) certificateFrom(names.ca, paths.ca, ca);
  if (cert === undefined || key === undefined) return { ca, cert, key };
  const own = certificateFrom(names.cert, paths.cert, cert);
  assertInTime(names.cert, paths.cert, own, nowMs);
  if (!own.checkPrivateKey(privateKeyFrom(names.key, paths.key, key))) {
    const pair = `the certificate in ${shown(paths.cert)} (${names.cert})`;
    throw fileFault(names.key, paths.key, `holds the key of another certificate than ${pair}; the two belong together`);
  }
  return { ca, cert, key };
}

function textOf(setting: string, path: string): string | undefined {
  if (path === '') return undefined;
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw fileFault(setting, path, readFault(error));
  }
}

function readFault(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'does not exist; mount the secret that has it, or leave the setting empty';
  if (code === 'EACCES') return 'may not be read by this user; give it the right to read it';
  if (code === 'EISDIR') return 'is a folder; name the file in it';
  return `cannot be read: ${message}`;
}

function certificateFrom(setting: string, path: string, text: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch {
    // Never the parser's words or the content: it may be a key that was named by mistake.
    throw fileFault(setting, path, 'holds no certificate; it should begin with -----BEGIN CERTIFICATE-----');
  }
}

function privateKeyFrom(setting: string, path: string, text: string): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey(text);
  } catch {
    throw fileFault(
      setting,
      path,
      'holds no private key without a passphrase; it should begin with -----BEGIN PRIVATE KEY-----',
    );
  }
}

function assertInTime(setting: string, path: string, { validFrom, validTo }: X509Certificate, nowMs: number): void {
  if (nowMs > Date.parse(validTo)) {
    throw fileFault(setting, path, `holds a certificate that ended on ${validTo}; put a renewed one there`);
  }
  if (nowMs < Date.parse(validFrom)) {
    throw fileFault(
      setting,
      path,
      `holds a certificate that begins on ${validFrom}; check it, and this machine's clock`,
    );
  }
}

function fileFault(setting: string, path: string, what: string): TailraceError {
  return new TailraceError('invalid_config', `${setting} (${variableFrom(setting)}): ${shown(path)} ${what}`);
}
