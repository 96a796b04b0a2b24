import { createHash, X509Certificate } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { OPCUACertificateManager } from 'node-opcua-certificate-manager';
import { OpcuaError } from './opcua-port.ts';

/*
 * The folder of certificates, in the layout of node-opcua: `own` has the gateway's certificate and key, which are made
 * once; `trusted/certs` those of servers that are trusted; `rejected` those of servers that are not yet. Nothing is
 * trusted by itself: `tailrace-edge trust` moves a certificate from `rejected`.
 */

export interface ServerCertificates {
  readonly manager: OPCUACertificateManager;
  /** In the gateway's certificate; servers compare it. */
  readonly applicationUri: string;
  /** Rejects with `untrusted`, and how to trust it. */
  assertTrusted(endpoint: string, certificate: Buffer): Promise<void>;
  close(): Promise<void>;
}

/** Opens the folder, and reads it again each time: certificates are trusted while the gateway runs. */
export async function openCertificates(pkiPath: string): Promise<ServerCertificates> {
  mkdirSync(pkiPath, { recursive: true, mode: 0o700 });
  const manager = new OPCUACertificateManager({
    rootFolder: pkiPath,
    automaticallyAcceptUnknownCertificate: false,
    disableFileWatchers: true,
  });
  // Its users count; this is one, and closes it last.
  manager.referenceCounter++;
  await manager.initialize();
  return {
    manager,
    applicationUri: `urn:${hostname()}:tailrace:edge`,
    async assertTrusted(endpoint, certificate) {
      const status = await manager.checkCertificate(certificate);
      if (status.name === 'Good') return;
      const fingerprint = createHash('sha1').update(firstOf(certificate)).digest('hex');
      const command = `tailrace-edge trust ${fingerprint} --pki ${pkiPath}`;
      throw new OpcuaError(
        'untrusted',
        `the certificate of ${endpoint} is not trusted (${status.name}): compare its fingerprint ${fingerprint} with ` +
          `the one that the server shows, then run: ${command}`,
      );
    },
    async close() {
      await manager.dispose();
    },
  };
}

export interface RejectedCertificate {
  readonly file: string;
  readonly subject: string;
  readonly validTo: string;
  /** SHA-1 in hexadecimal, as OPC UA tools show it. */
  readonly fingerprint: string;
  readonly fingerprint256: string;
}

/** Lists the certificates of servers that are not trusted. Files that are none are left out. */
export function rejectedCertificates(pkiPath: string): RejectedCertificate[] {
  const folder = join(pkiPath, 'rejected');
  const found: RejectedCertificate[] = [];
  for (const file of namesIn(folder)) {
    try {
      const { subject, validTo, fingerprint, fingerprint256 } = new X509Certificate(readFileSync(join(folder, file)));
      found.push({
        file,
        subject: subject.replaceAll('\n', ', '),
        validTo,
        fingerprint: hexOf(fingerprint),
        fingerprint256: hexOf(fingerprint256),
      });
    } catch {
      // Not a certificate.
    }
  }
  return found;
}

/** Trusts the rejected certificate with this fingerprint (SHA-1 or SHA-256). Throws `not_found` where there is none. */
export function trustCertificate(pkiPath: string, fingerprint: string): RejectedCertificate {
  const wanted = hexOf(fingerprint);
  const found = rejectedCertificates(pkiPath).find(
    (each) => each.fingerprint === wanted || each.fingerprint256 === wanted,
  );
  if (found === undefined) {
    throw new TailraceError(
      'not_found',
      `fingerprint: expected that of a certificate in ${join(pkiPath, 'rejected')}, got ${shown(fingerprint)}`,
    );
  }
  const trusted = join(pkiPath, 'trusted', 'certs');
  mkdirSync(trusted, { recursive: true });
  renameSync(join(pkiPath, 'rejected', found.file), join(trusted, found.file));
  return found;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

function hexOf(fingerprint: string): string {
  return fingerprint.replaceAll(':', '').toLowerCase();
}

/** A server may send a list of certificates, its own first: DER, with two bytes of length. */
function firstOf(certificates: Buffer): Buffer {
  return certificates.length > 4 && certificates[1] === 0x82
    ? certificates.subarray(0, 4 + certificates.readUInt16BE(2))
    : certificates;
}
