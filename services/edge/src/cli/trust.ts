import { rejectedCertificates, trustCertificate } from '../opcua/certificates.ts';

/** Trusts the certificate with this fingerprint; without one, lists those that are not trusted. Returns the output. */
export function trust(pkiPath: string, fingerprint: string | undefined): string {
  if (fingerprint !== undefined) {
    const { subject } = trustCertificate(pkiPath, fingerprint);
    return `trusted: ${subject}\n`;
  }
  const rejected = rejectedCertificates(pkiPath);
  if (rejected.length === 0) return `${pkiPath} has no certificate that is not trusted\n`;
  const lines = rejected.map((each) => `${each.fingerprint}  ${each.subject}, valid until ${each.validTo}`);
  return `${lines.join('\n')}\n`;
}
