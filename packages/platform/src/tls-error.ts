/** Returns the reason of a TLS error with a broker, with the setting to check. `broker`: the prefix of the settings. */
export function tlsErrorTextOf(thrown: unknown, broker: 'kafka' | 'nats'): string | undefined {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    const { code } = error as NodeJS.ErrnoException;
    const reason = typeof code === 'string' ? reasonOf(code, error.message, broker) : undefined;
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/** Codes of https://nodejs.org/api/tls.html#x509-certificate-error-codes. */
const untrusted: ReadonlySet<string> = new Set([
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

function reasonOf(code: string, message: string, broker: 'kafka' | 'nats'): string | undefined {
  const addresses = broker === 'kafka' ? 'kafkaBrokers' : 'natsServers';
  if (untrusted.has(code))
    return `its certificate is not of an authority in ${broker}TlsCaFile; put the authority of the brokers there`;
  if (code === 'CERT_HAS_EXPIRED') return 'its certificate has expired; renew it on the broker';
  if (code === 'CERT_NOT_YET_VALID') return "its certificate is not valid yet; check it, and this machine's clock";
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return `its certificate is for another name (${oneLine(message)}); use a name of the certificate in ${addresses}`;
  // Alerts of the server (RFC 8446, section 6.2); in TLS 1.3 they come after the client's handshake is complete.
  if (/^ERR_SSL_.*ALERT.*CERT|^ERR_SSL_.*ALERT_UNKNOWN_CA/.test(code))
    return `it refuses the client certificate; check ${broker}TlsCertFile and ${broker}TlsKeyFile, and which authority it requires`;
  if (/^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)$/.test(code))
    return `it does not use TLS there; set ${broker}Tls to false, or its TLS port in ${addresses}`;
  if (code === 'ECONNRESET' && /before secure TLS/.test(message))
    return `it closed the connection during the TLS handshake; check that its port uses TLS, or set ${broker}Tls to false`;
  if (/^ERR_(SSL|OSSL|TLS)_/.test(code)) return `TLS with it failed (${oneLine(message)}); check its TLS settings`;
  return undefined;
}

function oneLine(message: string): string {
  return message.replaceAll(/\s+/g, ' ').trim().slice(0, 300);
}
