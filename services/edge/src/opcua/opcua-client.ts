import { readFileSync } from 'node:fs';
import type { Logger } from '@tailrace/platform/logger';
import * as opcua from 'node-opcua-client';
import { openCertificates, type ServerCertificates } from './certificates.ts';
import { ClientChannel, disconnect, messageOf, statusOf, within } from './opcua-channel.ts';
import { type OpcuaConnector, OpcuaError } from './opcua-port.ts';
import type { OpcuaSource } from './opcua-source.ts';

/*
 * Only this file and `opcua-channel.ts` use the library. They take messages, secure channels and the activation of
 * sessions from it. Its repair of connections is turned off (`maxRetry: 0`), and what it does on top of a session is
 * not used: that repeats requests, writes too, on another session, after any time.
 */

/** Which server, and how. A password is read from its file at each new session. */
export type OpcuaEndpoint = Pick<
  OpcuaSource['opcua'],
  'endpoint' | 'security' | 'mode' | 'user' | 'passwordFile' | 'timeoutMs'
>;

export interface OpcuaClientOptions {
  /** Folder with the gateway's certificate and key, and with those of servers that are trusted or were rejected. */
  readonly pkiPath: string;
  /** Lines of the library, at the level debug. */
  readonly logger: Logger;
}

const applicationName = 'tailrace-edge';
const sessionTimeoutMs = 60_000;
/** Discovery and the secure channel take several calls. */
const openCalls = 3;
/** Of a TCP connection without any byte: longer than keep-alives. What is dead earlier shows at the watchdog. */
const idleMs = 60_000;

export function createOpcuaConnector(endpoint: OpcuaEndpoint, options: OpcuaClientOptions): OpcuaConnector {
  const { logger } = options;
  for (const set of [opcua.setErrorLogger, opcua.setWarningLogger, opcua.setDebugLogger]) {
    set((...parts: unknown[]) => logger.debug({}, `opcua: ${parts.map(String).join(' ').slice(0, 1_000)}`));
  }
  return {
    open: async (previous, onClosed) => {
      const certificates = await openCertificates(options.pkiPath);
      try {
        return await open(endpoint, certificates, previous as ClientChannel | undefined, onClosed);
      } catch (error) {
        await certificates.close();
        throw error instanceof OpcuaError ? error : new OpcuaError(statusOf(error), messageOf(error));
      }
    },
  };
}

async function open(
  endpoint: OpcuaEndpoint,
  certificates: ServerCertificates,
  previous: ClientChannel | undefined,
  onClosed: (reason: string) => void,
): Promise<ClientChannel> {
  const isSecure = endpoint.security !== 'None';
  const serverCertificate = isSecure ? await trustedCertificate(endpoint, certificates) : undefined;
  const client = createClient(certificates, {
    securityMode: isSecure ? opcua.MessageSecurityMode[endpoint.mode] : opcua.MessageSecurityMode.None,
    securityPolicy: opcua.SecurityPolicy[endpoint.security],
    defaultTransactionTimeout: endpoint.timeoutMs,
    ...(serverCertificate === undefined ? {} : { serverCertificate }),
  });
  let channel: ClientChannel | undefined;
  client.on('close', (error?: Error | null) => {
    channel?.lost();
    onClosed(error == null ? 'closed by the server' : messageOf(error));
  });
  try {
    await connect(client, endpoint);
    const former = previous?.session;
    let isReactivated = false;
    let session: opcua.ClientSession | undefined;
    if (former !== undefined) {
      try {
        await client.reactivateSession(former);
        session = former;
        isReactivated = true;
      } catch (error) {
        if (!/BadSession\w+|BadSecureChannelIdInvalid/.test(messageOf(error))) throw error;
      }
    }
    session ??= await client.createSession(identityOf(endpoint));
    channel = new ClientChannel({ client, session, certificates, isReactivated, timeoutMs: endpoint.timeoutMs });
    return channel;
  } catch (error) {
    await disconnect(client);
    throw error;
  }
}

function createClient(certificates: ServerCertificates, options: opcua.OPCUAClientOptions): opcua.OPCUAClient {
  return opcua.OPCUAClient.create({
    applicationName,
    clientName: applicationName,
    applicationUri: certificates.applicationUri,
    connectionStrategy: { maxRetry: 0, initialDelay: 100, maxDelay: 100 },
    keepSessionAlive: false,
    endpointMustExist: false,
    keepPendingSessionsOnDisconnect: true,
    requestedSessionTimeout: sessionTimeoutMs,
    transportTimeout: idleMs,
    clientCertificateManager: certificates.manager,
    ...options,
  });
}

/** Connects, and gives up in time: then a connection that comes later is closed. */
async function connect(client: opcua.OPCUAClient, { endpoint, timeoutMs }: OpcuaEndpoint): Promise<void> {
  const connected = client.connect(endpoint);
  const isInTime = await within(
    connected.then(() => true),
    openCalls * timeoutMs,
    false,
  );
  if (!isInTime) {
    connected.catch(() => {});
    throw new OpcuaError('timeout', `${endpoint}: no connection within ${openCalls * timeoutMs} ms`);
  }
}

/** Resolves with the server's certificate if it is trusted. Rejects with `untrusted` if not: see `certificates.ts`. */
async function trustedCertificate(endpoint: OpcuaEndpoint, certificates: ServerCertificates): Promise<Buffer> {
  const client = createClient(certificates, {
    securityMode: opcua.MessageSecurityMode.None,
    defaultTransactionTimeout: endpoint.timeoutMs,
  });
  let offered: opcua.EndpointDescription[];
  try {
    await connect(client, endpoint);
    offered = await client.getEndpoints();
  } finally {
    await disconnect(client);
  }
  const policy = opcua.SecurityPolicy[endpoint.security];
  const mode = opcua.MessageSecurityMode[endpoint.mode];
  const found = offered.find((each) => each.securityPolicyUri === policy && each.securityMode === mode);
  if (found === undefined) {
    const names = offered.map((each) => {
      const name = String(each.securityPolicyUri).replace(/^.*#/, '');
      return name === 'None' ? name : `${name} ${opcua.MessageSecurityMode[each.securityMode]}`;
    });
    const expected = `${endpoint.security} ${endpoint.mode}`;
    throw new OpcuaError('no_endpoint', `the server has no endpoint with ${expected}; it has ${names.join(', ')}`);
  }
  await certificates.assertTrusted(endpoint.endpoint, found.serverCertificate);
  return found.serverCertificate;
}

function identityOf({ user, passwordFile }: OpcuaEndpoint): opcua.UserIdentityInfo {
  if (user === undefined) return { type: opcua.UserTokenType.Anonymous };
  const password = passwordFile === undefined ? '' : readFileSync(passwordFile, 'utf8').replace(/\r?\n$/, '');
  return { type: opcua.UserTokenType.UserName, userName: user, password };
}
