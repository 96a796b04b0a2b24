import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonSchemaFrom } from './openapi.ts';

const same = (name: string) => name;

test('where fields are named, others are refused', () => {
  assert.deepEqual(
    jsonSchemaFrom(
      { type: 'object', description: 'A port.', properties: { port: { type: 'integer', format: 'int32' } } },
      same,
    ),
    {
      type: 'object',
      properties: { port: { type: 'integer' } },
      additionalProperties: false,
    },
  );
});

test('where anything is kept, or fields have any name, nothing is refused', () => {
  const open = { type: 'object', properties: { a: { type: 'string' } }, 'x-kubernetes-preserve-unknown-fields': true };
  assert.equal('additionalProperties' in jsonSchemaFrom(open, same), false);
  assert.deepEqual(jsonSchemaFrom({ type: 'object', additionalProperties: { type: 'string' } }, same), {
    type: 'object',
    additionalProperties: { type: 'string' },
  });
});

test('a field that is called as a word of the language stays a field', () => {
  const named = { type: 'object', properties: { description: { type: 'string' }, format: { type: 'string' } } };
  assert.deepEqual(Object.keys(jsonSchemaFrom(named, same)['properties'] as object), ['description', 'format']);
});

test('parts of a choice are open, for each names but some of the fields', () => {
  const choice = {
    properties: { a: {}, b: {} },
    oneOf: [{ properties: { a: { enum: [1] } } }, { properties: { b: { enum: [2] } } }],
  };
  assert.deepEqual(jsonSchemaFrom(choice, same)['oneOf'], [
    { properties: { a: { enum: [1] } } },
    { properties: { b: { enum: [2] } } },
  ]);
});
