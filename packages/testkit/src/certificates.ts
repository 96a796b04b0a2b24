import { X509Certificate } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TailraceError } from '@tailrace/protocol/error';
import { run, whyItFailed } from './run.ts';

/** A certificate with its key, as PEM files. */
export interface Identity {
  readonly certFile: string;
  readonly keyFile: string;
  /** Key and certificate in one file, as Kafka wants them. */
  readonly bothFile: string;
}

/** A certificate authority. */
export interface Authority {
  readonly caFile: string;
  /** Issues a certificate, by default for localhost and 127.0.0.1. A negative number of days makes an expired one. */
  issue(name: string, options?: { names?: string; days?: number }): Promise<Identity>;
  /**
   * Writes the revocation list of the authority, with these of its certificates, and resolves with its PEM file. It is
   * valid for two days; with `isExpired` it was until the year 2020.
   */
  revoke(identities: readonly Identity[], options?: { isExpired?: boolean }): Promise<string>;
}

const deadlineMs = 20_000;
const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
const localNames = 'DNS:localhost,IP:127.0.0.1';

/**
 * Creates an authority with its files in `dir`, by the openssl command, because Node makes keys but no certificates.
 */
export async function createAuthority(dir: string, name = 'authority'): Promise<Authority> {
  const caFile = join(dir, `${name}.pem`);
  const caKeyFile = join(dir, `${name}.key`);
  await openssl([
    'req',
    '-x509',
    ...newKey,
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
    '-keyout',
    caKeyFile,
    '-out',
    caFile,
  ]);
  return {
    caFile,
    async issue(subject, { names = localNames, days = 2 } = {}) {
      const [certFile, keyFile, requestFile, bothFile] = ['crt', 'key', 'csr', 'both'].map((end) =>
        join(dir, `${name}-${subject}.${end}.pem`),
      ) as [string, string, string, string];
      const about = ['-subj', `/CN=${subject}`, '-addext', `subjectAltName=${names}`];
      await openssl(['req', '-new', ...newKey, ...about, '-keyout', keyFile, '-out', requestFile]);
      const by = ['-CA', caFile, '-CAkey', caKeyFile, '-set_serial', String(Date.now())];
      const what = ['-in', requestFile, '-copy_extensions', 'copyall', '-days', String(days), '-out', certFile];
      await openssl(['x509', '-req', ...by, ...what]);
      await writeFile(bothFile, (await readFile(keyFile, 'utf8')) + (await readFile(certFile, 'utf8')));
      return { certFile, keyFile, bothFile };
    },
    async revoke(identities, { isExpired = false } = {}) {
      const [listFile, indexFile, settingsFile] = ['crl.pem', 'index.txt', 'cnf'].map((end) =>
        join(dir, `${name}.${end}`),
      ) as [string, string, string];
      const lines = await Promise.all(
        identities.map(async ({ certFile }) => {
          const { serialNumber } = new X509Certificate(await readFile(certFile));
          return `R\t350101000000Z\t240101000000Z\t${serialNumber}\tunknown\t/CN=revoked\n`;
        }),
      );
      await writeFile(indexFile, lines.join(''));
      await writeFile(settingsFile, `[ca]\ndefault_ca=x\n[x]\ndatabase=${indexFile}\ndefault_md=sha256\n`);
      const period = isExpired
        ? ['-crl_lastupdate', '20190101000000Z', '-crl_nextupdate', '20200101000000Z']
        : ['-crldays', '2'];
      const by = ['-config', settingsFile, '-cert', caFile, '-keyfile', caKeyFile];
      await openssl(['ca', '-gencrl', ...by, ...period, '-out', listFile]);
      return listFile;
    },
  };
}

async function openssl(args: readonly string[]): Promise<void> {
  try {
    await run('openssl', args, { env: process.env, deadlineMs });
  } catch (error) {
    throw new TailraceError(
      'unavailable',
      `openssl ${args[0]} makes no certificate (${whyItFailed(error)}); tests of TLS need the command openssl 3 (Debian: apt install openssl)`,
      { retryable: false, cause: error },
    );
  }
}
