/** The devices of the ingest bench: a few kept-alive connections, one request after the other on each. */
import { Agent, request } from 'node:http';
import { answer } from './child.ts';
import { batchOf, load } from './ingest-load.ts';

const agent = new Agent({ keepAlive: true, maxSockets: load.concurrency });

function post(port: number, token: string, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'content-length': body.length,
    };
    const sent = request(
      { agent, host: '127.0.0.1', port, path: '/v1/ingest', method: 'POST', headers },
      (response) => {
        response.resume();
        response.once('end', () =>
          response.statusCode === 202 ? resolve() : reject(new Error(`status ${response.statusCode}`)),
        );
      },
    );
    sent.once('error', reject);
    sent.end(body);
  });
}

interface Run {
  readonly port: number;
  readonly token: string;
  readonly batches: number;
  /** In a batch. Default: as many as the load has. */
  readonly reports?: number;
}

answer({
  run: async ({ port, token, batches, reports = load.reports }: Run) => {
    const body = Buffer.from(JSON.stringify(batchOf(Date.now()).slice(0, reports)));
    let left = batches;
    const worker = async () => {
      while (left-- > 0) await post(port, token, body);
    };
    await Promise.all(Array.from({ length: load.concurrency }, worker));
    return {};
  },
});
