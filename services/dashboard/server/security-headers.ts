import { streamUrlsFrom } from './stream-urls.ts';

/** A host and port as a browser writes it: letters, digits, dots and dashes, or an IPv6 address in brackets. */
const hostPattern = /^(?:[A-Za-z0-9.-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(?::\d{1,5})?$/;

/**
 * Returns the origins that the page may connect to besides its own, for streams and for the list of devices: those of
 * all URLs in `streamUrl`, or if it is empty `streamPort` of the host that the request was sent to. An invalid `Host`
 * header allows none.
 */
export function connectOrigins(streamUrl: string, hostHeader: string | undefined, streamPort = 8081): string[] {
  const urls = streamUrlsFrom(streamUrl);
  if (urls.length > 0) {
    const origins = urls.map((url) => new URL(url).origin);
    return [...new Set(origins.flatMap((origin) => [origin, origin.replace(/^ws/, 'http')]))];
  }
  return originsAt(['ws', 'wss', 'http', 'https'], hostHeader, streamPort);
}

/**
 * Returns the origins of control: that of `controlUrl`, or if it is empty `controlPort` of the host that the request
 * was sent to. None without a port.
 */
export function controlOrigins(controlUrl: string, hostHeader: string | undefined, controlPort?: number): string[] {
  if (controlUrl !== '') return [new URL(controlUrl).origin];
  return controlPort === undefined ? [] : originsAt(['http', 'https'], hostHeader, controlPort);
}

function originsAt(schemes: readonly string[], hostHeader: string | undefined, port: number): string[] {
  if (hostHeader === undefined || !hostPattern.test(hostHeader)) return [];
  const host = hostHeader.replace(/:\d+$/, '');
  return schemes.map((scheme) => `${scheme}://${host}:${port}`);
}

/**
 * Headers of every response. The policy allows exactly what the page does: its own scripts and style sheets, and
 * connections to the streams and to control. Styles that scripts set through the object model are not subject to it (CSP 3, 6.1.12),
 * so that no `unsafe-inline` is needed.
 */
export function securityHeaders(origins: readonly string[]): Readonly<Record<string, string>> {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    `connect-src ${["'self'", ...origins].join(' ')}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ];
  return {
    'content-security-policy': policy.join('; '),
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'permissions-policy': 'camera=(), geolocation=(), microphone=()',
    // For browsers older than frame-ancestors.
    'x-frame-options': 'DENY',
  };
}
