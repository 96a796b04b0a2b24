import { isIP, type Socket } from 'node:net';
import { connect } from 'node:tls';
import type { KafkaTls } from './settings.ts';

/** As kafkajs sets it for its own: a firewall forgets a connection that is idle for longer than some minutes. */
const keepAliveMs = 60_000;

/** What kafkajs asks for a socket with. */
interface SocketRequest {
  readonly host: string;
  readonly port: number;
  onConnect(): void;
}

/**
 * Makes the sockets of kafkajs. Its own factory keeps the certificates that it was given at the start; a cluster that
 * renews them (Strimzi does so every year) would refuse every connection made after that until a restart. What `tls`
 * throws counts as a connect that failed.
 */
export function tlsSockets(tls: () => KafkaTls): (request: SocketRequest) => Socket {
  return ({ host, port, onConnect }) => {
    // RFC 6066, 3: no IP addresses in the server name; the certificate is checked against the address then.
    const name = isIP(host) ? {} : { servername: host };
    const socket = connect({ host, port, ...name, ...tls() }, onConnect);
    socket.setKeepAlive(true, keepAliveMs);
    return socket;
  };
}
