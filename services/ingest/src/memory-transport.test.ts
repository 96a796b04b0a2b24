import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { transportContract } from '../test/transport-contract.ts';
import { MemoryTransport } from './memory-transport.ts';

const fastClock = {
  ...systemClock,
  every: (_periodMs: number, call: () => void) => systemClock.every(5, call),
};

transportContract('memory', () => {
  // A quarter of a second of the clock passes every 5 ms: the deadline of a body is due after some 25 ms.
  const transport = new MemoryTransport({ clock: fastClock, logger: silentLogger, bodyMs: 1_000 });
  return {
    transport,
    send(request) {
      const client = transport.send(request);
      return {
        answered: client.answered.then(
          (answer) =>
            answer && {
              status: answer.status,
              body: answer.body,
              headers: Object.fromEntries(answer.headers.map(([name, value]) => [name.toLowerCase(), value])),
            },
        ),
        write: (text) => client.write(Buffer.from(text)),
        end: () => client.end(),
        abort: () => client.abort(),
      };
    },
  };
});
