import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonErrorPlace } from './json-place.ts';

test('the place of each kind of error is found, also where JSON.parse has none', () => {
  const cases: readonly (readonly [text: string, place: string | undefined])[] = [
    ['{"a":1}', undefined],
    ['{"a":abc}', 'line 1 column 6'],
    ['{\n  "a": \'x\'\n}', 'line 2 column 8'],
    ['// why\n{}', 'line 1 column 1'],
    ['{"a":1,}', 'line 1 column 8'],
    ['{"a":1\n "b":2}', 'line 2 column 2'],
    ['{a:1}', 'line 1 column 2'],
    ['[1,2]]', 'line 1 column 6'],
    ['{"a":"x\ny"}', 'line 1 column 8'],
    ['{"a":TRUE}', 'line 1 column 6'],
    ['{"a":19,5}', 'line 1 column 9'],
    ['{"a":[1,2', 'the end of the text'],
    ['{"a":tru', 'the end of the text'],
    ['{"a":"x', 'the end of the text'],
    ['', 'the end of the text'],
  ];
  for (const [text, place] of cases) assert.equal(jsonErrorPlace(text), place, JSON.stringify(text));
});

test('the place in a large text is found with few parses', () => {
  const lines = Array.from({ length: 50_000 }, (_, line) => `"key ${line}": "text ${line}",`);
  lines[40_000] = 'key: 1,';
  assert.equal(jsonErrorPlace(`{\n${lines.join('\n')}\n"last": 1}`), 'line 40002 column 1');
});
