import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { constraintOf, databaseErrorFrom } from './database-error.ts';

const errorOf = (code: string, message = 'reported') => databaseErrorFrom(Object.assign(new Error(message), { code }));

test('each state of the server has a code, and whether a repetition helps', () => {
  const expected: Readonly<Record<string, readonly [string, boolean]>> = {
    '08006': ['unavailable', true],
    '57P01': ['unavailable', true],
    '57P03': ['unavailable', true],
    '53300': ['unavailable', true],
    '25006': ['unavailable', true],
    ECONNREFUSED: ['unavailable', true],
    '55P03': ['timeout', true],
    '25P03': ['timeout', true],
    '40001': ['conflict', true],
    '40P01': ['conflict', true],
    '23505': ['conflict', false],
    '22P02': ['invalid_message', false],
    '28P01': ['unauthorized', false],
    '42501': ['forbidden', false],
    '3D000': ['not_found', false],
    '53100': ['storage_full', true],
    '53200': ['limit_reached', true],
    '42601': ['internal', false],
    XX000: ['internal', false],
  };
  for (const [state, [code, retryable]] of Object.entries(expected)) {
    const error = errorOf(state);
    assert.deepEqual([error.code, error.retryable], [code, retryable], state);
  }
});

test('a connection that fails has its code, and not the address of the server, which users must not get', () => {
  const { message } = errorOf('ECONNREFUSED', 'connect ECONNREFUSED 127.0.0.1:5432');
  assert.equal(message, 'database: ECONNREFUSED');
});

test('a canceled statement is a timeout only if the server names one', () => {
  assert.equal(errorOf('57014', 'canceling statement due to statement timeout').code, 'timeout');
  assert.equal(errorOf('57014', 'canceling statement due to user request').code, 'canceled');
});

test('an error of the project stays, and another one keeps its message in the cause', () => {
  const own = new TailraceError('forbidden', 'no');
  assert.equal(databaseErrorFrom(own), own);
  const other = databaseErrorFrom(new TypeError('secret'));
  assert.equal(other.code, 'internal');
  assert.doesNotMatch(other.message, /secret/);
  assert.equal(constraintOf(other), undefined);
});
