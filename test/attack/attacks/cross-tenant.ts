import type { Attack } from '../attack-definition.ts';
import { post } from '../attack-post.ts';
import { openRawStream } from '../attack-sockets.ts';

/** Channels within tenant `b`, or attempts at them. */
const channels = [
  ...[
    'b.>',
    'b',
    '>',
    'b.line0.>',
    'b.line0.d0',
    'b.quiet.d0',
    'B.>',
    'a.>.b',
    'a..b',
    '.b.>',
    'a.>,b.>',
    '>.b',
    '*',
    '+',
  ],
  ...[
    'b/>',
    '../b.>',
    'a.../b.>',
    'b.> ',
    ' b.>',
    'b\u0000.>',
    'b.\u200b>',
    '%62.>',
    'b.#',
    'a.>\nb.>',
    'аb.>',
    'ａ.>',
    '',
  ],
];
const options: readonly Readonly<Record<string, unknown>>[] = [
  {},
  { snapshot: false },
  { from: 0 },
  { maxRate: 1 },
  { delta: true },
  { tags: ['n'] },
  { align: 100 },
];
const devices = ['b.line0.d0', 'b.quiet.d0', 'b', 'B.x', 'a..b', 'a/../b', 'b.line0.d0\u0000', '>', 'b.>'];

/** No request returns data of another tenant, or writes to it. */
export const crossTenant: Attack = {
  name: 'cross-tenant',
  words:
    '400 attempts at the data of tenant b with a token for a.>, by streams, positions, routes, operators and ingest',
  targets: ['standalone', 'stack'],
  refusals: ['error forbidden', 'error invalid_pattern', 'http 403 forbidden', 'http 400 invalid_report'],
  forbidden: [
    'a report of tenant b was sent',
    'a report into tenant b was accepted',
    'an operator request was accepted',
  ],
  async run(context) {
    const { counts } = context;
    while (!context.isExpired()) {
      for (const option of options) {
        const stream = await openRawStream(context);
        for (const [i, channel] of channels.entries()) {
          stream.sendText(JSON.stringify({ subscribe: { id: `x${i}`, channel, ...option } }));
          counts.add('attempts');
        }
        stream.sendText(JSON.stringify({ ping: { t: 1 } }));
        // Long enough for a report of every device of tenant b.
        await Promise.race([stream.closed, context.sleep(300)]);
        for (const { payload } of stream.frames) count(payload.toString('utf8'), counts);
        stream.socket.close();
        if (context.isExpired()) break;
      }
      for (const device of devices) {
        counts.add('attempts', 2);
        const status = await post(context, JSON.stringify({ device, readings: [{ tag: 'n', value: 1e9 }] }));
        if (status === 202) counts.add('a report into tenant b was accepted');
        await request(context, `/v1/route?device=${encodeURIComponent(device)}`, 'GET');
      }
      for (const path of ['/v1/revocations', '/v1/notice']) {
        const body = path === '/v1/notice' ? '{"severity":"critical","message":"x"}' : '{"subject":"device"}';
        const status = await request(context, path, 'POST', body);
        if (status < 400) counts.add('an operator request was accepted');
        counts.add('attempts');
      }
    }
  },
};

function count(text: string, counts: { add(name: string): void; error(code: string): void }): void {
  const code = /^\{"error":\{.*?"code":"([a-z_]+)"/.exec(text)?.[1];
  if (code !== undefined) counts.error(code);
  else if (/"device":"b[."]/.test(text)) counts.add('a report of tenant b was sent');
}

async function request(
  context: Parameters<Attack['run']>[0],
  path: string,
  method: string,
  body?: string,
): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${context.addresses.streamPort}${path}`, {
    method,
    headers: { authorization: `Bearer ${context.token}` },
    ...(body === undefined ? {} : { body }),
    signal: AbortSignal.timeout(5_000),
  });
  const text = await answer.text();
  context.counts.response({ status: answer.status, body: text });
  return answer.status;
}
