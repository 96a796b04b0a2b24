import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { createInbox } from '@tailrace/testkit/eventually';
import { deviceSocketContract } from '../../test/device-socket-contract.ts';
import { MemoryTransport } from '../memory-transport.ts';
import { MemoryDevice } from './memory-sockets.ts';

/** The deadline of a close is due after 20 ms. */
const fastClock = {
  ...systemClock,
  after: (delayMs: number, call: () => void) => systemClock.after(delayMs / 100, call),
};

deviceSocketContract('memory', () => {
  const transport = new MemoryTransport({ clock: fastClock, logger: silentLogger });
  return {
    transport,
    async connect(target, offered) {
      const device = transport.connectDevice({ target }, offered);
      if (device === undefined) throw new RangeError('the transport does not listen');
      if (!(device instanceof MemoryDevice)) {
        const headers = Object.fromEntries(device.headers.map(([name, value]) => [name.toLowerCase(), value]));
        return { ...device, headers };
      }
      const inbox = createInbox<string | Buffer>();
      device.onMessage = (data) => inbox.put(data);
      return {
        subprotocol: device.subprotocol,
        closed: device.closed,
        send: (...messages) => device.send(...messages),
        next: () => inbox.next({ describe: 'the next message of the device' }),
        ping: () =>
          new Promise((resolve) => {
            device.onPong = resolve;
            device.ping();
          }),
        close: (code) => device.close(code),
        abort: () => device.abort(),
        stopReading: () => device.stopReading(),
        startReading: () => device.startReading(),
      };
    },
  };
});
