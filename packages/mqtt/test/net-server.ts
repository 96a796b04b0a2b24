import { randomUUID } from 'node:crypto';
import type { TlsOptions } from 'node:tls';
import { systemClock } from '@tailrace/platform/clock';
import { createInbox, type Inbox } from '@tailrace/testkit/eventually';
import type { InboundMessage } from '../src/inbound-messages.ts';
import { listenMqtt } from '../src/net-wire.ts';
import { SecondWheel } from '../src/one-second-wheel.ts';
import { ServerConnection } from '../src/server-connection.ts';
import { type ClosedConnection, type ServerLimits, serverLimits } from '../src/server-options.ts';
import type { SessionState } from '../src/session-state.ts';

export interface NetMessage {
  readonly clientId: string;
  readonly topic: string;
  readonly qos: number;
  readonly payload: string;
}

export interface NetServer {
  readonly port: number;
  readonly received: Inbox<NetMessage>;
  readonly closed: Inbox<ClosedConnection>;
  readonly subscribed: Inbox<string>;
  /** Open connections by client ID. */
  readonly connections: ReadonlyMap<string, ServerConnection>;
  stop(): Promise<void>;
}

/** A server over TCP or TLS. It acknowledges messages at once, and grants the filters that end with `/command`. */
export async function startNetServer(
  options: { tls?: TlsOptions; limits?: Partial<ServerLimits> } = {},
): Promise<NetServer> {
  const wheel = new SecondWheel(systemClock);
  wheel.start();
  const sessions = new Map<string, SessionState>();
  const connections = new Map<string, ServerConnection>();
  const received = createInbox<NetMessage>();
  const closed = createInbox<ClosedConnection>();
  const subscribed = createInbox<string>();
  const shared = {
    clock: systemClock,
    wheel,
    limits: { ...serverLimits, ...options.limits },
    newClientId: randomUUID,
    newExchangeId: randomUUID,
    handlers: {
      authorize: (connection: ServerConnection) => connection.authorized(),
      claim(connection: ServerConnection, { clientId }: { clientId: string }) {
        connections.get(clientId)?.disconnect(0x8e, 'another connection has this client ID');
        connections.set(clientId, connection);
        connection.claimed(sessions.get(clientId));
      },
      publish(connection: ServerConnection, message: InboundMessage) {
        const { topic, qos, payload } = message;
        received.put({ clientId: connection.clientId, topic, qos, payload: payload.toString() });
        if (message.ticket >= 0) connection.settle(message.ticket, 0);
      },
      subscribe(_connection: ServerConnection, { filter, qos }: { filter: string; qos: 0 | 1 }) {
        subscribed.put(filter);
        return filter.endsWith('/command') ? qos : 0x8f;
      },
      closed(connection: ServerConnection, reason: ClosedConnection) {
        closed.put(reason);
        const { clientId, session } = connection;
        if (connections.get(clientId) === connection) connections.delete(clientId);
        if (session === undefined) return;
        if (reason.sessionExpirySeconds > 0) sessions.set(clientId, session);
        else sessions.delete(clientId);
      },
    },
  };
  const server = await listenMqtt({
    host: '127.0.0.1',
    port: 0,
    portSetting: 'mqttPort',
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    accept: (wire) => new ServerConnection(wire, shared),
  });
  return {
    port: server.port,
    received,
    closed,
    subscribed,
    connections,
    async stop() {
      wheel.stop();
      await server.close();
    },
  };
}
