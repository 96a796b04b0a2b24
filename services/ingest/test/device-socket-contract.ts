import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createInbox } from '@tailrace/testkit/eventually';
import type { DeviceSocket, DeviceSocketServer, UpgradeHead } from '../src/devices/device-socket.ts';
import type { Transport } from '../src/transport.ts';
import type { ContractAnswer } from './transport-contract.ts';

/** The client's end of a socket, on each adapter. */
export interface ContractDevice {
  /** '' for none. */
  readonly subprotocol: string;
  /** Sends messages in one write. */
  send(...messages: readonly (string | Uint8Array)[]): void;
  /** Resolves with the next message: a text, or the bytes of a binary one. */
  next(): Promise<string | Buffer>;
  /** Sends a ping. Resolves when it is answered. */
  ping(): Promise<void>;
  /** Without a code: a close frame without one. */
  close(code?: number): void;
  /** Disconnects without a close frame. */
  abort(): void;
  stopReading(): void;
  startReading(): void;
  /** Resolves with the close frame of the other side; 1005: without a code, 1006: without a close frame. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
}

export interface ContractSubject {
  readonly transport: Transport;
  /** Called after `listen`. Resolves with the device, or the answer that refuses it. */
  connect(target: string, offered?: readonly string[]): Promise<ContractDevice | ContractAnswer>;
}

/** An event of a socket, in the order of the calls. */
type Event = ['message', string | Buffer] | ['ping'] | ['pong'] | ['closed', number];

/** The socket of a server, with its events. */
interface Opened {
  readonly socket: DeviceSocket;
  readonly events: readonly Event[];
  next(): Promise<Event>;
}

const messageBytesMax = 100_000;
const refusal = {
  status: 503,
  outcome: 'overloaded',
  headers: [
    ['Content-Type', 'application/json'],
    ['Retry-After', '2'],
  ],
  body: '{"error":"full"}',
} as const;

function isDevice(device: ContractDevice | ContractAnswer): device is ContractDevice {
  return 'closed' in device;
}

/** The contract of the sockets of devices. `create` returns a transport that does not listen yet. */
export function deviceSocketContract(name: string, create: (t: TestContext) => ContractSubject): void {
  /** Serves `/device`, refuses `/full`, and throws at `/error`. `react`: called in the event of a socket. */
  async function listening(t: TestContext, react: (event: Event, socket: DeviceSocket) => void = () => {}) {
    const subject = create(t);
    t.after(() => subject.transport.close());
    const sockets = createInbox<Opened>();
    const heads: Pick<UpgradeHead, 'path' | 'address'>[] = [];
    const server: DeviceSocketServer = {
      subprotocols: ['best', 'good'],
      messageBytesMax,
      accept: (head) => {
        heads.push({ path: head.path, address: head.address });
        assert.equal(head.header('upgrade'), 'websocket');
        assert.equal(head.header('x-other'), '');
        return (socket) => {
          const inbox = createInbox<Event>();
          const put = (event: Event) => {
            inbox.put(event);
            react(event, socket);
          };
          const next = () => inbox.next({ describe: 'the next event of the socket' });
          sockets.put({ socket, events: inbox.all, next });
          return {
            message: (data, isBinary) => put(['message', isBinary ? Buffer.from(data) : data.toString()]),
            ping: () => put(['ping']),
            pong: () => put(['pong']),
            closed: (code) => put(['closed', code]),
          };
        };
      },
    };
    await subject.transport.listen({
      request: (exchange) => void exchange.answer(404, [], ''),
      refused() {},
      isNearLimit: () => false,
      upgrade(head) {
        if (head.path === '/error') throw new RangeError('a mistake');
        if (head.path === '/full') return refusal;
        return head.path === '/device' ? { server, open: server.accept(head) } : undefined;
      },
    });
    const open = async (offered?: readonly string[]) => {
      const device = await subject.connect('/device?a=1', offered);
      assert.ok(isDevice(device), 'refused');
      t.after(() => device.abort());
      return { device, server: await sockets.next({ describe: 'the socket of the server' }) };
    };
    return { ...subject, heads, open };
  }

  const contract = (title: string, run: (t: TestContext) => Promise<void>) => test(`${name}: ${title}`, run);

  contract('a device connects, and both sides send texts and bytes in order', async (t) => {
    const { open, heads } = await listening(t);
    const { device, server } = await open();
    assert.equal(heads[0]!.path, '/device');
    assert.notEqual(server.socket.address, '');
    assert.equal(server.socket.address, heads[0]!.address);
    device.send('täxt', '', Buffer.from([0, 255]));
    assert.deepEqual(await server.next(), ['message', 'täxt']);
    assert.deepEqual(await server.next(), ['message', '']);
    assert.deepEqual(await server.next(), ['message', Buffer.from([0, 255])]);
    server.socket.send('täxt');
    server.socket.send(new Uint8Array([0, 255]));
    server.socket.send('');
    assert.equal(await device.next(), 'täxt');
    assert.deepEqual(await device.next(), Buffer.from([0, 255]));
    assert.equal(await device.next(), '');
  });

  contract('a refused request gets its answer, an error of the handler 500', async (t) => {
    const { connect } = await listening(t);
    const full = await connect('/full');
    assert.ok(!isDevice(full));
    assert.deepEqual([full.status, full.body, full.headers['retry-after']], [503, refusal.body, '2']);
    const failed = await connect('/error');
    assert.equal(isDevice(failed) ? 101 : failed.status, 500);
  });

  contract('the preferred subprotocol that the client offers is selected, or none', async (t) => {
    const { open } = await listening(t);
    for (const [offered, selected] of [
      [['good', 'best', 'other'], 'best'],
      [['other', 'good'], 'good'],
      [['other'], ''],
      [[], ''],
    ] as const) {
      const { device, server } = await open(offered);
      assert.deepEqual([device.subprotocol, server.socket.subprotocol], [selected, selected]);
    }
  });

  contract('what is sent while corked is sent at the last uncork, in order', async (t) => {
    const { open } = await listening(t);
    const { device, server } = await open();
    server.socket.cork();
    server.socket.cork();
    for (let n = 0; n < 50; n++) server.socket.send(`${n}`);
    server.socket.uncork();
    assert.ok(server.socket.bufferedBytes > 0);
    server.socket.uncork();
    for (let n = 0; n < 50; n++) assert.equal(await device.next(), `${n}`);
    assert.equal(server.socket.bufferedBytes, 0);
  });

  contract('pings are answered by both sides, and reported', async (t) => {
    const { open } = await listening(t);
    const { device, server } = await open();
    await device.ping();
    assert.deepEqual(await server.next(), ['ping']);
    server.socket.ping();
    assert.deepEqual(await server.next(), ['pong']);
  });

  contract('a paused socket delivers the rest of a chunk at most, and everything after it resumes', async (t) => {
    const { open } = await listening(t, ([type, data], socket) => {
      if (type === 'message' && data === 'pause') socket.pause();
    });
    const { device, server } = await open();
    device.send('pause', 'same chunk');
    await server.next();
    // Larger than what Node.js reads at once.
    const large = 'x'.repeat(99_000);
    for (let n = 0; n < 10; n++) device.send(`${n}`, large);
    // Without the pause its answer would come first.
    server.socket.send('paused');
    assert.equal(await device.next(), 'paused');
    await turns(20);
    const delivered = server.events.length;
    assert.ok(delivered <= 2, `${delivered} events`);
    server.socket.resume();
    const texts: unknown[] = [];
    while (texts.at(-1) !== '9') texts.push((await server.next())[1]);
    const rest = texts.filter((text) => text !== large);
    assert.deepEqual(rest, ['same chunk', ...Array.from({ length: 10 }, (_, n) => `${n}`)]);
  });

  contract('a close of the server reaches the client with code and reason, behind what was sent', async (t) => {
    const { open } = await listening(t);
    const { device, server } = await open();
    server.socket.send('last');
    server.socket.close(4409, 'a newer session');
    server.socket.close(4400, 'again');
    server.socket.send('never sent');
    server.socket.ping();
    assert.deepEqual(server.events, [], 'no event within a call');
    assert.equal(await device.next(), 'last');
    assert.deepEqual(await device.closed, { code: 4409, reason: 'a newer session' });
    assert.deepEqual(await server.next(), ['closed', 4409]);
    server.socket.terminate();
    server.socket.close(4400, '');
    server.socket.send('never sent');
    server.socket.pause();
    server.socket.resume();
    await turns(5);
    assert.deepEqual(server.events, [['closed', 4409]]);
    assert.equal(server.socket.bufferedBytes, 0);
  });

  contract('a reason above 123 bytes is shortened, and not within a character', async (t) => {
    const { open } = await listening(t);
    const { device, server } = await open();
    server.socket.close(4409, `x${'ä'.repeat(100)}`);
    assert.deepEqual(await device.closed, { code: 4409, reason: `x${'ä'.repeat(61)}` });
  });

  contract('a paused socket can be closed, and delivers nothing more', async (t) => {
    const { open } = await listening(t);
    const { device, server } = await open();
    server.socket.pause();
    device.send('too late');
    server.socket.close(4400, '');
    assert.equal((await device.closed).code, 4400);
    assert.deepEqual(await server.next(), ['closed', 4400]);
  });

  contract('messages behind the one at which the server closes are not delivered', async (t) => {
    const { open } = await listening(t, ([type], socket) => {
      if (type === 'message') socket.close(4400, '');
    });
    const { device, server } = await open();
    device.send('first', 'second');
    assert.equal((await device.closed).code, 4400);
    assert.deepEqual(await server.next(), ['message', 'first']);
    assert.deepEqual(await server.next(), ['closed', 4400]);
  });

  contract('a close of the client is reported with its code, behind its messages', async (t) => {
    const { open } = await listening(t);
    for (const [code, reported] of [
      [1000, 1000],
      [4321, 4321],
      [undefined, 1005],
    ] as const) {
      const { device, server } = await open();
      device.send('last');
      device.close(code);
      assert.deepEqual(await server.next(), ['message', 'last']);
      assert.deepEqual(await server.next(), ['closed', reported]);
      server.socket.send('too late');
      assert.equal((await device.closed).code, reported);
    }
  });

  contract('a lost client is reported once, with 1006', async (t) => {
    const { open } = await listening(t);
    const { device, server } = await open();
    device.abort();
    assert.deepEqual(await server.next(), ['closed', 1006]);
    server.socket.close(4400, '');
    server.socket.terminate();
    await turns(5);
    assert.deepEqual(server.events, [['closed', 1006]]);
  });

  contract('terminate disconnects at once, also a paused socket', async (t) => {
    const { open } = await listening(t);
    const { device, server } = await open();
    server.socket.pause();
    device.send('never delivered');
    server.socket.terminate();
    server.socket.terminate();
    assert.deepEqual(server.events, [], 'no event within a call');
    assert.equal((await device.closed).code, 1006);
    assert.deepEqual(await server.next(), ['closed', 1006]);
  });

  contract('what a client does not read is counted, until it reads', async (t) => {
    const { open } = await listening(t);
    const { device, server } = await open();
    device.stopReading();
    // More than the buffers of both kernels.
    const text = 'x'.repeat(1_000_000);
    for (let n = 0; n < 20; n++) server.socket.send(text);
    assert.ok(server.socket.bufferedBytes >= 1_000_000, `${server.socket.bufferedBytes}`);
    device.startReading();
    for (let n = 0; n < 20; n++) assert.equal((await device.next()).length, 1_000_000);
    assert.equal(server.socket.bufferedBytes, 0);
  });

  contract('a client that does not answer a close frame is disconnected after 2 s', async (t) => {
    const { open } = await listening(t);
    const { device, server } = await open();
    device.stopReading();
    server.socket.close(4401, 'expired');
    assert.deepEqual(await server.next(), ['closed', 4401]);
    device.startReading();
    await device.closed;
  });

  contract('a message above the limit closes the socket with 1009, one of the limit is delivered', async (t) => {
    const { open } = await listening(t);
    const { device, server } = await open();
    device.send('x'.repeat(messageBytesMax), 'x'.repeat(messageBytesMax + 1), 'behind');
    assert.equal((await server.next())[0], 'message');
    assert.deepEqual(await server.next(), ['closed', 1009]);
    assert.equal((await device.closed).code, 1009);
  });

  contract('an error of a handler closes its socket with 1011, and no other one', async (t) => {
    const { open } = await listening(t, ([type, data]) => {
      if (type === 'closed' || data === 'error') throw new RangeError('a mistake');
    });
    const other = await open();
    const { device, server } = await open();
    device.send('error', 'behind');
    assert.equal((await device.closed).code, 1011);
    assert.deepEqual(await server.next(), ['message', 'error']);
    assert.deepEqual(await server.next(), ['closed', 1011]);
    other.device.send('fine');
    assert.deepEqual(await other.server.next(), ['message', 'fine']);
  });

  contract('a drain accepts no further device, and waits until every socket is closed', async (t) => {
    const { transport, open, connect } = await listening(t);
    const { device, server } = await open();
    assert.deepEqual([transport.connections.size, transport.connections.upgraded], [1, 1]);
    let isDrained = false;
    const drained = transport.drain().then(() => {
      isDrained = true;
    });
    await assert.rejects(connect('/device'));
    device.send('still served');
    assert.deepEqual(await server.next(), ['message', 'still served']);
    assert.equal(isDrained, false);
    server.socket.close(1012, 'restart');
    assert.equal((await device.closed).code, 1012);
    await drained;
    assert.deepEqual([transport.connections.size, transport.connections.upgraded], [0, 0]);
  });

  contract('a close of the transport disconnects every device', async (t) => {
    const { transport, open } = await listening(t);
    const all = await Promise.all([open(), open()]);
    transport.close();
    for (const { device, server } of all) {
      assert.equal((await device.closed).code, 1006);
      assert.deepEqual(await server.next(), ['closed', 1006]);
    }
    transport.close();
  });
}

/** Waits for turns of the event loop, in which nothing is expected to happen. */
async function turns(count: number): Promise<void> {
  for (let n = 0; n < count; n++) await new Promise((resolve) => setImmediate(resolve));
}
