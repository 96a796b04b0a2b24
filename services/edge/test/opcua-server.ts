/**
 * An OPC UA server on node-opcua, for the tests of the gateway: `opcua-server.ts PORT CONTROL PKI [conformance]`. It
 * has Double variables `ns=1;s=t0` to `ns=1;s=t9`, `ns=1;s=set`, which can be written, and `ns=1;s=stuck`, which
 * accepts values and does not store them; or the address space for conformance tests, with every data type.
 *
 * It prints `ready`, and answers each line on the port CONTROL, a JSON object, with one line:
 * `{"set": [name, value]}`, `{"sessions": true}`, `{"closeSessions": true}`, `{"writes": true}`.
 */
import { createServer } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { build_address_space_for_conformance_testing } from 'node-opcua-address-space-for-conformance-testing';
import { OPCUACertificateManager } from 'node-opcua-certificate-manager';
import { DataType, StatusCodes, Variant } from 'node-opcua-client';
import { nodesets } from 'node-opcua-nodesets';
import { OPCUAServer } from 'node-opcua-server';

const [port, control, pki, mode] = process.argv.slice(2);
const server = new OPCUAServer({
  port: Number(port),
  hostname: '127.0.0.1',
  nodeset_filename: [nodesets.standard],
  maxConnectionsPerEndpoint: 100,
  serverCapabilities: { maxSessions: 20, operationLimits: { maxMonitoredItemsPerCall: 50, maxNodesPerRead: 100 } },
  serverCertificateManager: new OPCUACertificateManager({
    rootFolder: join(pki!, 'server'),
    automaticallyAcceptUnknownCertificate: true,
  }),
  userCertificateManager: new OPCUACertificateManager({ rootFolder: join(pki!, 'users') }),
  userManager: { isValidUser: (user: string, password: string) => user === 'edge' && password === 'secret' },
  allowAnonymousSubscriptionTransferOnUnsecuredChannel: true,
});
await server.initialize();
const space = server.engine.addressSpace!;
let writes = 0;
const variables = new Map<string, { setValueFromSource(variant: Variant): void }>();
if (mode === 'conformance') build_address_space_for_conformance_testing(space as never, { mass_variables: false });
else {
  const namespace = space.getOwnNamespace();
  const folder = namespace.addFolder(space.rootFolder.objects, { browseName: 'Machine' });
  for (const name of [...Array.from({ length: 10 }, (_, n) => `t${n}`), 'set', 'stuck']) {
    const variable = namespace.addVariable({
      componentOf: folder,
      browseName: name,
      nodeId: `s=${name}`,
      dataType: DataType.Double,
      minimumSamplingInterval: 50,
      ...(name === 'stuck'
        ? {
            value: {
              get: () => new Variant({ dataType: DataType.Double, value: 1 }),
              set: () => StatusCodes.Good,
            },
          }
        : {}),
    });
    if (name !== 'stuck') variable.setValueFromSource({ dataType: DataType.Double, value: 0 });
    variables.set(name, variable);
  }
}
server.on('request', (request: { constructor: { name: string } }) => {
  if (request.constructor.name === 'WriteRequest') writes++;
});
await server.start();

interface Command {
  readonly set?: readonly [name: string, value: number];
  readonly sessions?: true;
  readonly closeSessions?: true;
  readonly writes?: true;
}

function answerTo({ set, sessions, closeSessions, writes: isCount }: Command): unknown {
  if (set !== undefined) {
    variables.get(set[0])!.setValueFromSource(new Variant({ dataType: DataType.Double, value: set[1] }));
    return true;
  }
  if (sessions === true) return server.engine.currentSessionCount;
  if (isCount === true) return writes;
  if (closeSessions === true) {
    const all = Object.values(
      (server.engine as unknown as { _sessions: Record<string, { authenticationToken: never }> })._sessions,
    );
    for (const { authenticationToken } of all) server.engine.closeSession(authenticationToken, false, 'Forcing');
    return all.length;
  }
  return undefined;
}

createServer((socket) => {
  createInterface({ input: socket }).on('line', (line) => {
    socket.write(`${JSON.stringify(answerTo(JSON.parse(line) as Command) ?? null)}\n`);
  });
}).listen(Number(control), '127.0.0.1', () => process.stdout.write('ready\n'));
process.on('SIGTERM', () => process.exit(0));
