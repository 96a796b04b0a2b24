import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { OPCUACertificateManager } from 'node-opcua-certificate-manager';
import {
  DataType,
  DataValue,
  MessageSecurityMode,
  SecurityPolicy,
  type StatusCode,
  StatusCodes,
  setErrorLogger,
  setWarningLogger,
  Variant,
} from 'node-opcua-client';
import { nodesets } from 'node-opcua-nodesets';
import { OPCUAServer } from 'node-opcua-server';
import type { FromOpcuaServer, MachineValues, OpcuaServerData, ToOpcuaServer } from './opcua-messages.ts';
import { machineOf, nodeNameOf, type PlantNode, plantMachines, plantNamespace } from './plant-nodes.ts';

/*
 * The OPC UA server of the plant, in a thread of its own: the library takes a second of a processor to load. It is a
 * development package, and not in images.
 */

const sessionsMax = 20;
const connectionsMax = 50;
const sampleMsMin = 100;

const { host, port, pkiPath } = workerData as OpcuaServerData;
const main = parentPort!;
const send = (message: FromOpcuaServer) => main.postMessage(message);

/** Values by the names of their nodes. */
const current = new Map<string, DataValue>();
/** Writes without an outcome, by their number. */
const writes = new Map<number, (error: string | undefined) => void>();
let lastWrite = 0;

for (const setLogger of [setErrorLogger, setWarningLogger]) setLogger(() => {});
main.on('message', (message: ToOpcuaServer) => {
  if ('values' in message) for (const each of message.values) show(each);
  else writes.get(message.written)?.(message.error);
});
try {
  await start();
  send({ listening: port });
} catch (thrown) {
  send({ failed: (thrown as Error).message });
}

async function start(): Promise<void> {
  const server = new OPCUAServer({
    port,
    hostname: host,
    host,
    nodeset_filename: [nodesets.standard],
    serverInfo: { applicationUri: plantNamespace, productUri: plantNamespace },
    buildInfo: { productName: 'Tailrace plant' },
    securityPolicies: [SecurityPolicy.None, SecurityPolicy.Basic256Sha256],
    securityModes: [MessageSecurityMode.None, MessageSecurityMode.Sign, MessageSecurityMode.SignAndEncrypt],
    maxConnectionsPerEndpoint: connectionsMax,
    serverCapabilities: { maxSessions: sessionsMax },
    serverCertificateManager: new OPCUACertificateManager({
      rootFolder: join(pkiPath, 'server'),
      automaticallyAcceptUnknownCertificate: true,
    }),
    userCertificateManager: new OPCUACertificateManager({ rootFolder: join(pkiPath, 'users') }),
  });
  await server.initialize();
  const space = server.engine.addressSpace!;
  const namespace = space.registerNamespace(plantNamespace);
  for (const { device, nodes } of plantMachines) {
    const folder = namespace.addFolder(space.rootFolder.objects, { browseName: machineOf(device) });
    for (const node of nodes) {
      const { tag, type, write } = node;
      const name = nodeNameOf(device, tag);
      current.set(name, new DataValue({ statusCode: StatusCodes.BadWaitingForInitialData }));
      const access = write === undefined ? 'CurrentRead' : 'CurrentRead | CurrentWrite';
      namespace.addVariable({
        componentOf: folder,
        nodeId: `s=${name}`,
        browseName: tag,
        dataType: DataType[type],
        minimumSamplingInterval: sampleMsMin,
        accessLevel: access,
        userAccessLevel: access,
        value: {
          timestamped_get: () => current.get(name)!,
          ...(write !== undefined && { timestamped_set: (value: DataValue) => written(device, node, value) }),
        },
      });
    }
  }
  await server.start();
}

/** A write is a command to the machine: the node has the new value when the machine has obeyed. */
async function written(device: string, { tag, type }: PlantNode, { value: variant }: DataValue) {
  if (variant.dataType !== DataType[type]) return StatusCodes.BadTypeMismatch;
  const write = ++lastWrite;
  const outcome = new Promise<string | undefined>((resolve) => writes.set(write, resolve));
  send({ write, device, tag, value: variant.value as number | boolean });
  const error = await outcome;
  writes.delete(write);
  if (error !== undefined) return StatusCodes.BadOutOfRange;
  set(nodeNameOf(device, tag), variant, StatusCodes.Good, new Date());
  return StatusCodes.Good;
}

function show({ device, timeMs, isConnected, readings }: MachineValues): void {
  const time = new Date(timeMs);
  for (const { tag, value, quality } of readings) {
    const name = nodeNameOf(device, tag);
    if (!current.has(name)) continue;
    const status = !isConnected
      ? StatusCodes.BadNoCommunication
      : quality === 'bad'
        ? StatusCodes.BadSensorFailure
        : quality === 'uncertain'
          ? StatusCodes.UncertainSensorNotAccurate
          : StatusCodes.Good;
    const dataType = typeof value === 'boolean' ? DataType.Boolean : DataType.Double;
    set(name, new Variant({ dataType, value }), status, time);
  }
}

function set(name: string, value: Variant, statusCode: StatusCode, sourceTimestamp: Date): void {
  current.set(name, new DataValue({ value, statusCode, sourceTimestamp, serverTimestamp: new Date() }));
}
