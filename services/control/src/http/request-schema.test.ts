import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { sceneSchema } from '../scenes/scene.ts';
import { noQuerySchema, requestValidator } from './request-schema.ts';

function errorOf(schema: z.ZodType, data: unknown, httpPart = 'body'): string {
  const validate = requestValidator({ schema, httpPart, method: 'POST', url: '/' });
  const { error } = validate(data) as { readonly error?: Error };
  return error?.message ?? '';
}

test('an error has the field, what was expected, and the value', () => {
  const schema = z.strictObject({
    name: z.string().max(3),
    count: z.int().min(1).max(5).optional(),
    kind: z.enum(['a', 'b', 'c']).default('a'),
    flag: z.boolean().default(false),
    list: z.array(z.string()).max(1).default([]),
  });
  assert.equal(errorOf(schema, { name: 'x' }), '');
  for (const [data, message] of [
    [{}, 'name: expected a text, got none'],
    [{ name: 'abcd' }, 'name: expected at most 3 characters, got "abcd"'],
    [{ name: 'x', count: 7 }, 'count: expected at most 5, got 7'],
    [{ name: 'x', count: 1.5 }, 'count: expected an integer, got 1.5'],
    [{ name: 'x', kind: 'd' }, 'kind: expected a, b or c, got "d"'],
    [{ name: 'x', flag: 1 }, 'flag: expected true or false, got 1'],
    [{ name: 'x', list: ['a', 'b'] }, 'list: expected at most 1 items, got ["a","b"]'],
    [{ name: 'x', nmae: 1 }, 'body: expected name, count, kind, flag or list, got "nmae"'],
    [
      { count: 0, kind: 1 },
      'name: expected a text, got none; count: expected at least 1, got 0; kind: expected a, b or c, got 1',
    ],
    [7, 'body: expected an object, got 7'],
  ] as const)
    assert.equal(errorOf(schema, data), message);
});

test('of a union, the error is that of the branch that fits, or has all of them', () => {
  const value = z.union([z.number(), z.boolean(), z.string()]);
  const schema = z.record(
    z.string().regex(/^[a-z]$/, 'expected a letter'),
    z.union([value, z.strictObject({ parameter: z.string() })]),
  );
  assert.equal(errorOf(schema, { a: [1] }), 'a: expected a number, true, false, a text or an object, got [1]');
  assert.equal(
    errorOf(schema, { a: { parametr: 'x' } }),
    'a.parameter: expected a text, got none; a: expected parameter, got "parametr"',
  );
  assert.equal(errorOf(schema, { '9': 1 }), '9: expected as the name a letter, got "9"');
  assert.equal(
    errorOf(z.record(z.string(), value), { a: [1] }),
    'a: expected a number, true, false or a text, got [1]',
  );
});

test('a step of a scene with an unknown kind, or a wrong field, is named', () => {
  const errorOfStep = (step: unknown) => errorOf(sceneSchema, { name: 'x', steps: [step] });
  assert.equal(
    errorOfStep({ do: 'comand', device: 'a.b', command: 'set' }),
    'steps.0.do: expected command, wait, scene, sequence or parallel, got "comand"',
  );
  assert.equal(errorOfStep({ do: 'wait', ms: 0 }), 'steps.0.ms: expected at least 1, got 0');
  assert.equal(
    errorOfStep({ do: 'sequence', steps: [{ do: 'wait', ms: 1, for: 2 }] }),
    'steps.0.steps.0: expected do or ms, got "for"',
  );
  assert.match(errorOfStep({ do: 'command', command: 'set' }), /steps\.0: expected either `device` or `group`/);
});

test('a query without effect is refused; a version belongs into the body, where that has one', () => {
  assert.equal(
    errorOf(noQuerySchema(undefined), { shade: '1' }, 'querystring'),
    'query: expected no fields, got "shade"',
  );
  assert.equal(
    errorOf(noQuerySchema(z.strictObject({ version: z.int() })), { version: '1' }, 'querystring'),
    'query: expected no version here, but in the body, got "version"',
  );
});
