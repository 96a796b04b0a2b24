import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { deadLetterReasons } from '../dead-letters/dead-letter-reason.ts';
import { bridgesFrom } from './bridges-file.ts';
import { MessageMapper } from './message-mapper.ts';

const page = readFileSync(join(import.meta.dirname, '../../../../docs/PROTOCOL.md'), 'utf8');

/** Returns the words in backticks of the first cells of the tables in a section. */
function firstCells(heading: string): string[] {
  const section = page.split(`\n## ${heading}\n`)[1]!.split('\n## ')[0]!;
  const cells = [...section.matchAll(/^\| (.*?) \|/gm)].map(([, cell]) => cell!);
  return cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, word]) => word!));
}

test('the file of bridges in the protocol is valid, and each of its samples is a report', () => {
  const text = /<!-- bridges -->\n```json\n(.*?)```/s.exec(page)![1]!;
  const [bridge] = bridgesFrom(text);
  const mapper = new MessageMapper(bridge!.subscriptions);
  const samples = bridge!.subscriptions.flatMap((each) => each.samples);
  assert.ok(samples.length > 0);
  for (const { topic, payload } of samples) {
    const mapped = mapper.map({ topic, payload: Buffer.from(payload), contentType: undefined, id: undefined });
    assert.deepEqual([mapped.reports.length, mapped.rejected], [1, []]);
  }
  const defaults = bridgesFrom(
    JSON.stringify({
      bridges: [
        { name: 'a', url: 'mqtt://h', publish: ['>'], subscriptions: [{ filter: 'a', map: { payload: 'protobuf' } }] },
      ],
    }),
  );
  const words = firstCells('Bridges: messages of MQTT brokers');
  const fields = [...Object.keys(defaults[0]!), ...Object.keys(defaults[0]!.subscriptions[0]!)];
  for (const field of [...fields, 'username', 'passwordFile', 'clientId', 'node', 'sparkplug'])
    assert.ok(words.includes(field), `${field} is in the protocol`);
});

test('the protocol has each reason of a dead letter', () => {
  const words = firstCells('Dead letters');
  for (const reason of deadLetterReasons) assert.ok(words.includes(reason), `${reason} is in the protocol`);
});
