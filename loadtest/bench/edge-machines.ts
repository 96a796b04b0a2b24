/** The machines of the edge bench: a Modbus TCP server whose registers count, or an OPC UA server on node-opcua. */
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { OPCUACertificateManager } from 'node-opcua-certificate-manager';
import { DataType } from 'node-opcua-client';
import { nodesets } from 'node-opcua-nodesets';
import { OPCUAServer } from 'node-opcua-server';
import { answer } from './child.ts';
import { opcuaTags, setRegister } from './edge-sources.ts';
import { endLoopDelay, startLoopDelay } from './loop-delay.ts';

const turnMs = 100;
const turnsPerSecond = 1_000 / turnMs;

/** Answers reads of registers with values that change, and stores writes of one register. */
async function startModbus(): Promise<number> {
  const written = new Map<number, number>();
  const replyTo = (request: Buffer): Buffer => {
    const [unit, code, address, word] = [
      request[6]!,
      request[7]!,
      request.readUInt16BE(8),
      request.readUInt16BE(10),
    ] as const;
    if (code === 6) {
      if (address === setRegister) written.set(unit, word);
      return request;
    }
    const reply = Buffer.alloc(9 + 2 * word);
    request.copy(reply, 0, 0, 8);
    reply.writeUInt16BE(3 + 2 * word, 4);
    reply[8] = 2 * word;
    const value = Math.floor(performance.now() / turnMs) & 0x7fff;
    for (let at = 0; at < word; at++) reply.writeUInt16BE((value + address + at) & 0xffff, 9 + 2 * at);
    if (address <= setRegister && setRegister < address + word)
      reply.writeUInt16BE(written.get(unit) ?? 0, 9 + 2 * (setRegister - address));
    return reply;
  };
  const serve = (socket: Socket) => {
    let rest: Buffer = Buffer.alloc(0);
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      rest = Buffer.concat([rest, bytes]);
      for (let end = 12; rest.length >= end; rest = rest.subarray(end)) socket.write(replyTo(rest.subarray(0, end)));
    });
  };
  const server = createServer(serve);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as { port: number }).port;
}

/** Sets each variable once a second, a tenth of them at a time. */
async function startOpcua(port: number, pki: string): Promise<void> {
  const server = new OPCUAServer({
    ...{ port, hostname: '127.0.0.1', nodeset_filename: [nodesets.standard] },
    serverCapabilities: { operationLimits: { maxMonitoredItemsPerCall: 1_000, maxNodesPerRead: 1_000 } },
    serverCertificateManager: new OPCUACertificateManager({
      rootFolder: join(pki, 'server'),
      automaticallyAcceptUnknownCertificate: true,
    }),
    userCertificateManager: new OPCUACertificateManager({ rootFolder: join(pki, 'users') }),
  });
  await server.initialize();
  const space = server.engine.addressSpace!;
  const namespace = space.getOwnNamespace();
  const folder = namespace.addFolder(space.rootFolder.objects, { browseName: 'Machine' });
  const add = (name: string) =>
    namespace.addVariable({
      ...{ componentOf: folder, browseName: name, nodeId: `s=${name}`, dataType: DataType.Double },
      // Changes are reported as they come, without a timer for each variable.
      minimumSamplingInterval: 0,
    });
  const variables = Array.from({ length: opcuaTags }, (_, index) => add(`t${index}`));
  const set = add('set');
  for (const [index, variable] of [...variables, set].entries())
    variable.setValueFromSource({ dataType: DataType.Double, value: index });
  await server.start();
  let turn = 0;
  setInterval(() => {
    turn++;
    for (let index = turn % turnsPerSecond; index < variables.length; index += turnsPerSecond)
      variables[index]!.setValueFromSource({ dataType: DataType.Double, value: turn + index / 8 });
  }, turnMs);
}

answer({
  modbus: async () => ({ port: await startModbus() }),
  opcua: async ({ port, pki }: { port: number; pki: string }) => {
    await startOpcua(port, pki);
    return {};
  },
  startWrites: startLoopDelay,
  endWrites: endLoopDelay,
});
