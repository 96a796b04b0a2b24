import type { Attack } from '../attack-definition.ts';
import { post } from '../attack-post.ts';
import { AttackStream } from '../attack-stream.ts';

const names = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__'];
const pauseMs = 50;

/**
 * Names of members of every JavaScript object, as tags, devices, IDs and keys: `ws` crashed at an extension of such a
 * name (NSP-550).
 */
export const objectNames: Attack = {
  name: 'object-names',
  words: 'tags, devices, message IDs, subscription IDs and JSON keys with the names of Object.prototype',
  targets: ['standalone'],
  refusals: ['http 400 invalid_report', 'close 4400'],
  visits: [{ channel: 'a.>' }],
  async run(context) {
    while (!context.isExpired()) {
      for (const name of names) {
        const readings = names.map((tag) => ({ tag, value: name, unit: name }));
        await post(context, JSON.stringify({ device: `a.${name}`, id: name, readings }));
        await post(context, `{"device":"a.x","readings":[{"tag":"t","value":1}],"${name}":{"polluted":true}}`);
        const stream = await AttackStream.open(context);
        for (const id of names) stream?.send({ subscribe: { id, channel: `a.${name}`, tags: names, delta: true } });
        for (const id of names) stream?.send({ pause: { id } });
        stream?.send(Buffer.from(`{"subscribe":{"id":"k","channel":"a.x","${name}":{"polluted":true}}}`));
        await stream?.untilClosed();
        stream?.terminate();
      }
      await context.sleep(pauseMs);
    }
    if ('polluted' in {}) context.counts.add('the attacker polluted itself');
  },
};
