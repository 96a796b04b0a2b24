import { shown } from '@tailrace/protocol/error';
import type { UpgradeHead } from './device-socket.ts';

/** RFC 6455, section 4.1: the only version. */
export const webSocketVersion = '13';

/** Why a request cannot become a WebSocket. 405: another method; 426: no upgrade, or another version; 400: invalid. */
export interface HandshakeError {
  readonly status: 400 | 405 | 426;
  readonly message: string;
}

/** 16 bytes in Base64. */
const keyPattern = /^[+/0-9A-Za-z]{22}==$/;
/** A list of tokens (RFC 9110, section 5.6.2). */
const protocolsPattern = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+([ \t]*,[ \t]*[!#$%&'*+.^_`|~0-9A-Za-z-]+)*$/;

/**
 * Returns why a request cannot become a WebSocket by its method and its fields (RFC 6455, section 4.2.1); undefined if
 * it can.
 */
export function handshakeErrorOf(
  head: Pick<UpgradeHead, 'path' | 'header'>,
  method = 'GET',
): HandshakeError | undefined {
  const { path } = head;
  if (method !== 'GET') return { status: 405, message: `expected GET ${path}, got ${shown(`${method} ${path}`)}` };
  const upgrade = head.header('upgrade');
  if (upgrade.toLowerCase() !== 'websocket')
    return { status: 426, message: `GET ${path}: expected "Upgrade: websocket", got ${shownHeader(upgrade)}` };
  const version = head.header('sec-websocket-version');
  if (version !== webSocketVersion)
    return { status: 426, message: `Sec-WebSocket-Version: expected ${webSocketVersion}, got ${shownHeader(version)}` };
  const key = head.header('sec-websocket-key');
  if (!keyPattern.test(key))
    return { status: 400, message: `Sec-WebSocket-Key: expected 16 bytes in Base64, got ${shownHeader(key)}` };
  const protocols = head.header('sec-websocket-protocol');
  if (protocols !== '' && !protocolsPattern.test(protocols))
    return { status: 400, message: `Sec-WebSocket-Protocol: expected a list of tokens, got ${shownHeader(protocols)}` };
  return undefined;
}

/**
 * Returns the error of a request whose fields are those of a handshake, and that still is an ordinary request: its form
 * as a whole allows no upgrade.
 */
export function noUpgrade(path: string): HandshakeError {
  return {
    status: 426,
    message: `GET ${path}: expected HTTP/1.1 with "Connection: Upgrade", no body, no Expect, and an answer to each request before it, got another form`,
  };
}

function shownHeader(value: string): string {
  return value === '' ? 'none' : shown(value);
}
