import { WebSocket } from 'ws';
import type { TlsFiles } from './tls-files.ts';

/**
 * Returns a WebSocket whose connections have the certificates of the files. That of Node.js takes no certificates
 * apart from those of the whole process.
 */
export function secureWebSocket(tls: TlsFiles): new (url: string, protocol: string) => WebSocket {
  return class SecureWebSocket extends WebSocket {
    constructor(url: string, protocol: string) {
      super(url, protocol, { ...tls.certificates(), perMessageDeflate: false });
    }
  };
}
