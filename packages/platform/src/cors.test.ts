import assert from 'node:assert/strict';
import { test } from 'node:test';
import { corsFrom } from './cors.ts';

const requests = { methods: 'POST', headers: 'Authorization, Content-Type' };

const headerOf = (headers: readonly (readonly [string, string])[], name: string) =>
  headers.find(([candidate]) => candidate === name)?.[1];

test('a page of an allowed origin may send, one of another may not', () => {
  const cors = corsFrom(['https://plant.example'], requests);
  const allowed = cors('https://plant.example');
  assert.equal(headerOf(allowed.answer, 'Access-Control-Allow-Origin'), 'https://plant.example');
  assert.equal(headerOf(allowed.answer, 'Vary'), 'Origin');
  assert.match(headerOf(allowed.preflight, 'Access-Control-Allow-Headers') ?? '', /Authorization/);
  assert.deepEqual(cors('https://elsewhere.example'), { answer: [], preflight: [] });
});

test('no allowed origin, or no origin: no headers', () => {
  assert.deepEqual(corsFrom([], requests)('https://plant.example').answer, []);
  assert.deepEqual(corsFrom(['*'], requests)('').answer, []);
});

test('the star allows every page', () => {
  assert.equal(headerOf(corsFrom(['*'], requests)('https://any.example').answer, 'Access-Control-Allow-Origin'), '*');
});
