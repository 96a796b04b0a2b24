import type { Attack } from '../attack-definition.ts';
import { post } from '../attack-post.ts';
import { AttackStream } from '../attack-stream.ts';

const bodyBytes = 1_000_000;
const messageBytes = 16_000;
const pauseMs = 50;

const shapes = (bytes: number): readonly string[] => [
  '['.repeat(bytes),
  '{"a":'.repeat(bytes / 5),
  `${'['.repeat(bytes / 2)}${']'.repeat(bytes / 2)}`,
  `{"device":"a.x","readings":${'['.repeat(bytes / 4)}${']'.repeat(bytes / 4)}}`,
  `"${'\\u0000'.repeat(bytes / 6 - 2)}"`,
  `{${'"k":1,'.repeat(bytes / 6)}"k":1}`,
  `${'9'.repeat(bytes - 10)}`,
  `[${'1e999,'.repeat(bytes / 6)}1]`,
];

/** JSON as deep, or as unusual, as a body can be. */
export const deepJson: Attack = {
  name: 'deep-json',
  words: 'JSON of 1 MB to ingest and of 16 KB to the streams, nested as deep as fits, or unusual in other ways',
  targets: ['standalone'],
  refusals: ['http 400 invalid_report', 'close 4400'],
  async run(context) {
    const [bodies, messages] = [shapes(bodyBytes), shapes(messageBytes)];
    // The first iteration is always complete.
    for (let iteration = 0; iteration === 0 || !context.isExpired(); iteration++) {
      for (const [i, body] of bodies.entries()) {
        if (iteration > 0 && context.isExpired()) break;
        await post(context, body);
        const stream = await AttackStream.open(context);
        stream?.send(Buffer.from(messages[i]!));
        await stream?.untilClosed();
        stream?.terminate();
        await context.sleep(pauseMs);
      }
    }
  },
};
