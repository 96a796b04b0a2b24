import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { configSchema } from '../src/config.ts';
import { createHttpTransport } from '../src/http-transport.ts';
import { type ContractAnswer, transportContract } from './transport-contract.ts';

failOnLeaks();

async function answerFrom(response: IncomingMessage): Promise<ContractAnswer> {
  return {
    status: response.statusCode ?? 0,
    headers: response.headers as Record<string, string>,
    body: await text(response),
  };
}

transportContract('HTTP', () => {
  const settings = { host: '127.0.0.1', port: 0, tokenSecret: 'x'.repeat(32), bodyDeadlineMs: 1_000 };
  const config = configSchema.parse(settings);
  const transport = createHttpTransport({ config, clock: systemClock, logger: silentLogger });
  let port = 0;
  return {
    transport: {
      listen: async (handlers) => {
        port = await transport.listen(handlers);
        return port;
      },
      closeAfterAnswers: () => transport.closeAfterAnswers(),
      drain: () => transport.drain(),
      close: () => transport.close(),
      tlsPort: transport.tlsPort,
      connections: transport.connections,
      handshakes: transport.handshakes,
      bodies: transport.bodies,
    },
    send({ method, target, headers = {} }) {
      const { promise, resolve } = Promise.withResolvers<ContractAnswer | undefined>();
      const client = request({ host: '127.0.0.1', port, method, path: target, headers, agent: false });
      client.on('response', (response) => void answerFrom(response).then(resolve));
      client.on('error', () => resolve(undefined));
      client.flushHeaders();
      return {
        answered: promise,
        write: (chunk) => void (chunk !== '' && client.write(chunk)),
        end: () => void client.end(),
        abort: () => void client.destroy(),
      };
    },
  };
});
