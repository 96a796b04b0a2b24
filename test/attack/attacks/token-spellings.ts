import type { Attack } from '../attack-definition.ts';
import { post } from '../attack-post.ts';
import { AttackStream } from '../attack-stream.ts';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const report = JSON.stringify({ device: 'a.device', readings: [{ tag: 'n', value: 1 }] });

/** One token in other spellings of its base64url. */
export function spellingsOf(token: string): string[] {
  const last = alphabet.indexOf(token.at(-1)!);
  const stem = token.slice(0, -1);
  // 32 bytes are 43 characters, of which the last has two bits of nothing.
  const others = [1, 2, 3].map((bits) => stem + alphabet[(last & ~3) | bits]);
  const padded = [`${token}=`, `${token}==`];
  const standard = token.replaceAll('-', '+').replaceAll('_', '/');
  return [...others, ...padded, ...(standard === token ? [] : [standard]), `${token}\t`, ` ${token}`];
}

/** Where several spellings of one token are taken, each has a share of its own. */
export const tokenSpellings: Attack = {
  name: 'token-spellings',
  words: 'one token in other spellings of base64url, to ingest and to the streams',
  targets: ['standalone'],
  refusals: ['http 401 unauthorized', 'close 4401'],
  forbidden: ['another spelling taken'],
  async run(context) {
    // Those that HTTP itself takes the blanks from are the token again.
    const spellings = spellingsOf(context.token).filter((spelling) => spelling.trim() === spelling);
    while (!context.isOver()) {
      for (const spelling of spellings) {
        const status = await post(context, report, { authorization: `Bearer ${spelling}` });
        if (status === 202) context.counts.add('another spelling taken');
        const stream = await AttackStream.open(context, { token: spelling });
        if (stream !== undefined && (await stream.closed) !== 4401) context.counts.add('another spelling taken');
      }
      await context.sleep(20);
    }
  },
};
