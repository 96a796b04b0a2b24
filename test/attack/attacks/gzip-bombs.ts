import { gzipSync } from 'node:zlib';
import type { Attack } from '../attack-definition.ts';
import { post } from '../attack-post.ts';

const unpackedBytes = { full: 900 * 1024 * 1024, small: 64 * 1024 * 1024 };
const atOnce = 16;
const pauseMs = 100;
const mb = 1024 * 1024;

/** Many bodies of less than 1 MB that unpack to 900 MB. */
export const gzipBombs: Attack = {
  name: 'gzip-bombs',
  words: '16 bodies at once that unpack from 900 KB to 900 MB',
  targets: ['standalone'],
  refusals: ['http 413 too_large'],
  async run(context) {
    // Many members, each of which is cheap to create.
    const member = gzipSync(Buffer.alloc(mb), { level: 9 });
    const bomb = Buffer.concat(Array.from({ length: unpackedBytes[context.size] / mb }, () => member));
    const headers = { 'content-encoding': 'gzip' };
    while (!context.isExpired()) {
      await Promise.all(Array.from({ length: atOnce }, () => post(context, bomb, headers)));
      await context.sleep(pauseMs);
    }
  },
};
