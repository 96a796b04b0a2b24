import { X509Certificate } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { type BlockList, isIPv4, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { addressFrom } from './client-address.ts';

/** A certificate that a client has presented, in its TLS handshake or to a proxy. */
export interface ClientCertificate {
  readonly x509: X509Certificate;
  /** Why the handshake has not verified it, as a code of OpenSSL; undefined if it has. */
  readonly error: string | undefined;
}

/** A connection, which keeps its certificate. */
interface CertifiedConnection {
  readonly socket: Socket;
  /** Null: none; undefined: not read yet. */
  certificate: ClientCertificate | null | undefined;
}

/** The certificates of the clients of a server. */
export class ClientCertificates {
  /** Of the header in which trusted proxies pass the certificate, in lower case; empty for none. */
  readonly #header: string;
  readonly #trusted: BlockList;
  readonly #forwarded = new ForwardedCertificates();

  constructor(header: string, trustedProxies: BlockList) {
    this.#header = header;
    this.#trusted = trustedProxies;
  }

  /**
   * Returns the certificate of a client: from a trusted proxy only the one of the header, because the handshake was the
   * proxy's; otherwise that of the handshake. Undefined for none. Throws `unauthorized` for an invalid header.
   */
  of(connection: CertifiedConnection, headers: IncomingHttpHeaders): ClientCertificate | undefined {
    const { socket } = connection;
    if (this.#header !== '' && this.#isProxy(socket.remoteAddress ?? '')) {
      const header = headers[this.#header];
      return typeof header === 'string' && header !== '' ? this.#forwarded.from(header) : undefined;
    }
    if (connection.certificate === undefined) connection.certificate = handshakeCertificate(socket);
    return connection.certificate ?? undefined;
  }

  #isProxy(peer: string): boolean {
    const address = addressFrom(peer);
    return address !== undefined && this.#trusted.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
  }
}

/** Returns null for a connection without TLS, and for a client that has presented no certificate. */
export function handshakeCertificate(socket: Socket): ClientCertificate | null {
  const x509 = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  if (x509 === undefined) return null;
  const { authorized, authorizationError } = socket as TLSSocket;
  return { x509, error: authorized ? undefined : String(authorizationError) };
}

/** Certificates of headers that are kept parsed: those of the connections of a proxy, about 4 MB. */
const parsedMax = 1_024;

/**
 * Certificates that a proxy passes in a header of each request. A text is parsed once, as long as it is one of the last
 * 1,024.
 */
export class ForwardedCertificates {
  /** By the text of the header, the oldest first. */
  readonly #parsed = new Map<string, ClientCertificate>();

  /** Returns the certificate; the same object for the same text. Throws `unauthorized` for another text. */
  from(header: string): ClientCertificate {
    const known = this.#parsed.get(header);
    if (known !== undefined) return known;
    // The proxy has verified it.
    const certificate = { x509: forwardedCertificate(header), error: undefined };
    if (this.#parsed.size >= parsedMax) this.#parsed.delete(this.#parsed.keys().next().value!);
    this.#parsed.set(header, certificate);
    return certificate;
  }
}

/**
 * Returns the certificate of a header in one of the forms of proxies:
 *
 * - Envoy's `x-forwarded-client-cert`, whose last element is of the nearest proxy: `…;Cert="<escaped PEM>";…`
 * - nginx's `$ssl_client_escaped_cert`: PEM in percent-encoding
 * - HAProxy's `ssl_c_der,base64` and Traefik: DER in base64; RFC 9440's `Client-Cert`: the same between colons
 *
 * Throws `unauthorized`.
 */
export function forwardedCertificate(header: string): X509Certificate {
  try {
    const text = decodeURIComponent(envoyCertificate(header) ?? header).trim();
    if (text.startsWith('-----BEGIN CERTIFICATE-----')) return new X509Certificate(text);
    const base64 = /^:?([A-Za-z0-9+/]+={0,2}):?$/.exec(text)?.[1];
    if (base64 !== undefined) return new X509Certificate(Buffer.from(base64, 'base64'));
  } catch {
    // The message is the same. The text is no secret, but it is long.
  }
  throw new TailraceError(
    'unauthorized',
    `header with the client's certificate: expected PEM in percent-encoding, DER in base64, or Envoy's Cert="…", got ${shown(header)}`,
  );
}

/** Returns the value of `Cert` in the last element of an x-forwarded-client-cert; undefined for another header. */
function envoyCertificate(header: string): string | undefined {
  if (!/(^|[;,])\s*(By|Hash|Cert|Subject|URI|DNS)=/i.test(header)) return undefined;
  // Quoted values may have commas and semicolons.
  let element = new Map<string, string>();
  for (const [, name = '', quoted, plain, end] of header.matchAll(
    /\s*([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^;,"]*))([;,]|$)/g,
  )) {
    element.set(name.toLowerCase(), quoted ?? plain ?? '');
    if (end === ',') element = new Map();
  }
  return element.get('cert') ?? '';
}
