import { type RawSocket, readResponse } from '@tailrace/testkit/raw-socket';
import type { Attack } from '../attack-definition.ts';
import { connectMany, countAnswers, ingestRequest } from '../attack-sockets.ts';

const report = JSON.stringify({ device: 'a.device', readings: [{ tag: 'n', value: 1 }] });
const length = `Content-Length: ${report.length}`;
/** A second request, if a proxy in front and the server parse the first one differently. */
const hidden = 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n';

const smuggled: readonly { readonly fields: readonly string[]; readonly body: string }[] = [
  { fields: [length, 'Content-Length: 5'], body: report + hidden },
  { fields: ['Content-Length: 5', length], body: report + hidden },
  { fields: [`Content-Length: 5, ${report.length}`], body: report + hidden },
  { fields: [length, 'Transfer-Encoding: chunked'], body: `0\r\n\r\n${hidden}` },
  { fields: ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'], body: `0\r\n\r\n${hidden}` },
  { fields: [`Content-Length : ${report.length}`], body: report },
  { fields: [`Content-Length: +${report.length}`], body: report },
];

/**
 * Requests that two parsers may understand differently, which RFC 9112 (6.3) refuses, and two requests in one write,
 * which are allowed and both answered.
 */
export const twoLengths: Attack = {
  name: 'two-lengths',
  words: 'requests with two lengths, a length and chunks, and requests in one write, to ingest',
  targets: ['standalone'],
  refusals: ['http 400 invalid_message'],
  expected: ['pipelined request answered'],
  forbidden: ['http 202', 'http 200', 'pipelined request not answered'],
  async run(context) {
    while (!context.isExpired()) {
      const sockets = await connectMany(context.addresses.ingestPort, smuggled.length);
      for (const [i, { fields, body }] of smuggled.entries()) {
        sockets[i]!.write(ingestRequest(context.token, fields, body));
      }
      await countAnswers(context, sockets, 5_000);
      const [pipelined] = await connectMany(context.addresses.ingestPort, 1);
      const request = ingestRequest(context.token, [length], report);
      pipelined!.write(request + request);
      for (let i = 0; i < 2; i++) context.counts.add(await pipelinedAnswer(pipelined!));
      pipelined!.close();
      await context.sleep(20);
    }
  },
};

async function pipelinedAnswer(socket: RawSocket): Promise<string> {
  const status = await readResponse(socket).then(
    (answer) => answer.status,
    () => 0,
  );
  return status === 202 ? 'pipelined request answered' : 'pipelined request not answered';
}
