import type { Attack, AttackContext } from '../attack-definition.ts';
import { postReports, smallReports } from '../attack-post.ts';

const devices = { full: 5_000, small: 500 };
const loops = 16;
const requestDeadlineMs = 20_000;
const [received, foreign] = ['lists received', 'devices of another tenant'] as const;

/**
 * Lists of devices without pause. Because of large lists the API server of Kubernetes has priority and fairness
 * (KEP-1040).
 */
export const deviceLists: Attack = {
  name: 'device-lists',
  words: '16 loops request the largest page of the list of devices, and counts of it, without pause',
  targets: ['standalone', 'stack'],
  refusals: ['http 403 forbidden'],
  expected: [received],
  forbidden: [foreign],
  async prepare(context) {
    const names = Array.from({ length: devices[context.size] }, (_, i) => `a.line${i % 20}.d${i}`);
    for (let from = 0; from < names.length; from += 1_000) {
      await postReports(context, smallReports(names.slice(from, from + 1_000), 0));
    }
  },
  async run(context) {
    const queries = ['?limit=1000', '?limit=1000&after=a.line3.d3', '?limit=0', '?limit=1000&channel=%3E'];
    await Promise.all(
      Array.from({ length: loops }, async (_, i) => {
        for (let n = i; !context.isExpired(); n++) await requestList(context, queries[n % queries.length]!);
      }),
    );
  },
};

async function requestList({ addresses, token, counts }: AttackContext, query: string): Promise<void> {
  try {
    const answer = await fetch(`http://127.0.0.1:${addresses.streamPort}/v1/devices${query}`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(requestDeadlineMs),
    });
    const text = await answer.text();
    if (answer.status !== 200) counts.response({ status: answer.status, body: text });
    else {
      counts.add(received);
      if (/"device":"(?!a\.)/.test(text)) counts.add(foreign);
    }
  } catch {
    counts.add('no answer');
  }
}
