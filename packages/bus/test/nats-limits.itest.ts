import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createInbox } from '@tailrace/testkit/eventually';
import { freePort } from '@tailrace/testkit/free-port';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { type NatsServer, startNats } from '@tailrace/testkit/nats';
import { connectRaw } from '@tailrace/testkit/raw-socket';
import { createTempDir, type TempDir } from '@tailrace/testkit/tempdir';
import { createNatsBus } from '../src/nats.ts';
import { bytes, createComplaintLog, failure } from './contract-bench.ts';
import { createNatsBench, type NatsBench } from './nats-bench.ts';

failOnLeaks();

const bus = (server: string, connectTimeoutMs = 5000) =>
  createNatsBus({ servers: [server], name: 'x', logger: createComplaintLog([]), connectTimeoutMs });

describe('without a NATS server', () => {
  it('start rejects with unavailable in one line, with the address and what to check', async () => {
    const address = `nats://127.0.0.1:${await freePort()}`;
    await assert.rejects(bus(address).start(), (error) => {
      failure(
        'unavailable',
        new RegExp(`^cannot reach NATS at ${address} \\(connection refused\\): check [^\\n]*$`),
      )(error);
      return true;
    });
  });

  it('start times out on a server that accepts and sends nothing, closes its socket, and may be called again', async () => {
    const sockets = createInbox<Socket>();
    const idle = createServer(sockets.put).listen(0, '127.0.0.1');
    await new Promise((resolve) => idle.once('listening', resolve));
    const { port } = idle.address() as { port: number };
    const client = bus(`127.0.0.1:${port}`, 50);
    for (let i = 0; i < 2; i++) {
      await assert.rejects(client.start(), failure('unavailable', /timeout/));
      const socket = await sockets.next();
      if (!socket.readableEnded) await new Promise((resolve) => socket.resume().once('end', resolve));
    }
    await client.close();
    await new Promise((resolve) => idle.close(resolve));
  });

  it('start refuses a greeting that is not of NATS', async () => {
    const other = createServer((socket) => socket.on('error', () => {}).end('SSH-2.0-OpenSSH_9.6\r\n')).listen(
      0,
      '127.0.0.1',
    );
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as { port: number };
    await assert.rejects(bus(`127.0.0.1:${port}`, 300).start(), failure('unavailable', /cannot reach NATS/));
    await new Promise((resolve) => other.close(resolve));
  });

  it('start rejects where the server closes the connection before it is initialized', async () => {
    const info = {
      server_id: 'x',
      version: '2.10.0',
      max_payload: 1_048_576,
      headers: true,
      proto: 1,
      host: 'x',
      port: 1,
    };
    const closing = createServer((socket) => {
      socket.write(`INFO ${JSON.stringify(info)}\r\n`);
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        if (chunk.includes('SUB ')) socket.end();
        else if (chunk.includes('PING')) socket.write('PONG\r\n');
      });
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => closing.once('listening', resolve));
    const { port } = closing.address() as { port: number };
    await assert.rejects(bus(`127.0.0.1:${port}`).start(), failure('unavailable', /closed|lost/));
    await new Promise((resolve) => closing.close(resolve));
  });

  it('an invalid address is invalid_config, and a password in it is not in the message', () => {
    assert.throws(() => bus('http://x:1/'), failure('invalid_config', /"http:\/\/x:1\/"/));
    assert.throws(
      () => bus('nats://me:hunter2@x:4222'),
      (error) => {
        failure('invalid_config', /credentials/)(error);
        assert.doesNotMatch((error as Error).message, /hunter2/);
        return true;
      },
    );
    assert.throws(
      () => createNatsBus({ servers: [], name: 'x', logger: createComplaintLog([]) }),
      failure('invalid_config'),
    );
  });
});

describe('the limits of the bus on NATS', () => {
  let server: NatsServer;
  let bench: NatsBench;
  let dir: TempDir;
  before(async () => {
    dir = await createTempDir('bus');
    const config = join(dir.path, 'nats.conf');
    // Small messages, and a short deadline for a client that does not read.
    await writeFile(config, 'max_payload: 65536\nmax_pending: 1MB\nwrite_deadline: "500ms"\n');
    server = await startNats({ args: ['-c', config] });
    bench = createNatsBench(server.url);
  });
  after(async () => {
    await bench.close();
    await server.stop();
    await dir.remove();
  });

  it('the limit of a payload is that of the server, less 512 bytes for headers', async () => {
    const { bus, complaints } = await bench.open();
    assert.equal(bus.stats().payloadBytesMax, 65_536 - 512);
    assert.match(complaints.join(), /^the NATS server accepts smaller messages than .*: raise its max_payload$/);
    assert.throws(
      () => bus.publish('a', new Uint8Array(65_025)),
      failure('too_large', /at most 65024 bytes, got 65025/),
    );
    await bus.serve('limit.a', (payload) => [payload, payload]);
    const parts = await bus.request('limit.a', new Uint8Array(65_024), { deadlineMs: 5000 });
    assert.deepEqual(
      parts.map((part) => part.length),
      [65_024, 65_024],
    );
  });

  it('a subscriber that does not read delays no other subscriber', async () => {
    const publisher = await bench.open();
    const subscriber = await bench.open();
    const slow = await connectRaw({ port: Number(new URL(server.url).port) });
    slow.write('CONNECT {"verbose":false}\r\nSUB slow.> 1\r\nPING\r\n');
    await slow.readUntil('PONG\r\n');
    slow.stopReading();
    const seen = createInbox<number>();
    await subscriber.bus.subscribe('slow.>', (payload) => seen.put(payload.length));
    const payload = new Uint8Array(60_000);
    for (let batch = 1; batch <= 20; batch++) {
      for (let i = 0; i < 20; i++) publisher.bus.publish('slow.a', payload);
      await seen.atLeast(batch * 20);
    }
    assert.equal(publisher.bus.stats().dropped, 0);
    slow.close();
  });

  it('replies of many megabytes wait and make publish drop nothing', async () => {
    const requester = await bench.open();
    const responder = await bench.open({ pendingBytesMax: 4 * 1024 * 1024 });
    await responder.bus.serve('flood.a', () => new Array(500).fill(new Uint8Array(60_000)));
    let pendingBytesMost = 0;
    const watch = setInterval(() => {
      pendingBytesMost = Math.max(pendingBytesMost, responder.bus.stats().pendingBytes);
      responder.bus.publish('flood.other', bytes('x'));
    }, 1);
    const parts = await requester.bus.request('flood.a', bytes('x'), { deadlineMs: 30_000 });
    clearInterval(watch);
    assert.equal(parts.length, 500);
    assert.equal(responder.bus.stats().dropped, 0);
    assert.ok(pendingBytesMost < 2 * 1024 * 1024, `${pendingBytesMost} bytes were pending`);
  });

  it('a reply with a lost, swapped or foreign part is an error, never a wrong reply', async () => {
    const { bus } = await bench.open();
    const raw = await connectRaw({ port: Number(new URL(server.url).port) });
    raw.write('CONNECT {"verbose":false,"headers":true}\r\nSUB hole.* 1\r\nPING\r\n');
    await raw.readUntil('PONG\r\n');
    const cases: [string[], RegExp][] = [
      [['z 0 3', 'z 2 3'], /expected part 1, got part 2 of 3/],
      [['z 1 2'], /expected part 0, got part 1 of 2/],
      [['z 0 2', 'other 1 2'], /two responders/],
      [['z 0 999999'], /at most 65536 parts, got 999999/],
      [['nonsense'], /does not parse/],
    ];
    for (const [headers, pattern] of cases) {
      const rejected = assert.rejects(
        bus.request('hole.a', bytes('x'), { deadlineMs: 5000 }),
        failure('unavailable', pattern),
      );
      const [, reply] = /MSG hole\.a 1 (\S+) 1\r\n/.exec((await raw.readUntil('\r\nx\r\n')).toString())!;
      for (const header of headers) {
        const head = `NATS/1.0\r\nTailrace-Part: ${header}\r\n\r\n`;
        raw.write(`HPUB ${reply} ${head.length} ${head.length + 1}\r\n${head}p\r\n`);
      }
      await rejected;
    }
    raw.close();
  });
});
