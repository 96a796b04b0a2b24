import type { Attack } from '../attack-definition.ts';
import { post } from '../attack-post.ts';
import { AttackStream } from '../attack-stream.ts';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const report = JSON.stringify({ device: 'a.device', readings: [{ tag: 'n', value: 1 }] });

/** Returns other spellings of a token in base64url. */
export function spellingsOf(token: string): string[] {
  const last = alphabet.indexOf(token.at(-1)!);
  const stem = token.slice(0, -1);
  // 32 bytes are 43 characters, of which the last has two unused bits.
  const others = [1, 2, 3].map((bits) => stem + alphabet[(last & ~3) | bits]);
  const padded = [`${token}=`, `${token}==`];
  const standard = token.replaceAll('-', '+').replaceAll('_', '/');
  return [...others, ...padded, ...(standard === token ? [] : [standard]), `${token}\t`, ` ${token}`];
}

/** Where several spellings of one token are accepted, each gets a share of its own. */
export const tokenSpellings: Attack = {
  name: 'token-spellings',
  words: 'one token in other spellings of base64url, to ingest and to the streams',
  targets: ['standalone'],
  refusals: ['http 401 unauthorized', 'close 4401'],
  forbidden: ['another spelling accepted'],
  async run(context) {
    // HTTP itself trims blanks, so that those are the same token.
    const spellings = spellingsOf(context.token).filter((spelling) => spelling.trim() === spelling);
    while (!context.isExpired()) {
      for (const spelling of spellings) {
        const status = await post(context, report, { authorization: `Bearer ${spelling}` });
        if (status === 202) context.counts.add('another spelling accepted');
        const stream = await AttackStream.open(context, { token: spelling });
        if (stream !== undefined && (await stream.closed) !== 4401) context.counts.add('another spelling accepted');
      }
      await context.sleep(20);
    }
  },
};
