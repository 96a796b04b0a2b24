import { isIP, type Socket } from 'node:net';
import { connect } from 'node:tls';
import type { KafkaTls } from './settings.ts';

/** The value of kafkajs: a firewall drops connections that are idle for some minutes. */
const keepAliveMs = 60_000;

/** The parameters of kafkajs for a socket. */
interface SocketRequest {
  readonly host: string;
  readonly port: number;
  onConnect(): void;
}

/**
 * Returns a socket factory for kafkajs. The default factory keeps the certificates of the start: a cluster that renews
 * them, as Strimzi does every year, would refuse new connections until a restart. An error of `tls` is a failed
 * connect.
 */
export function tlsSockets(tls: () => KafkaTls): (request: SocketRequest) => Socket {
  return ({ host, port, onConnect }) => {
    // RFC 6066, section 3: the server name is no IP address; the certificate is checked against the address then.
    const name = isIP(host) ? {} : { servername: host };
    const socket = connect({ host, port, ...name, ...tls() }, onConnect);
    socket.setKeepAlive(true, keepAliveMs);
    return socket;
  };
}
