import assert from 'node:assert/strict';
import { test } from 'node:test';
import { suggestionFor } from './suggestion.ts';

test('a typing error finds the intended word', () => {
  assert.equal(suggestionFor('flsuhMs', ['port', 'flushMs', 'node']), 'flushMs');
  assert.equal(suggestionFor('flush_ms', ['port', 'flushMs']), 'flushMs');
  assert.equal(suggestionFor('TAILRACE_PROT', ['TAILRACE_PORT', 'TAILRACE_NODE']), 'TAILRACE_PORT');
});

test('of two similar words the nearer one is suggested', () => {
  assert.equal(suggestionFor('internalPorts', ['internalHost', 'internalPort']), 'internalPort');
});

test('nothing is suggested without a similar word', () => {
  assert.equal(suggestionFor('colour', ['port', 'flushMs']), undefined);
  assert.equal(suggestionFor('x', []), undefined);
});

test('a megabyte costs no more than a word', () => {
  assert.equal(suggestionFor('p'.repeat(1_000_000), ['port']), undefined);
});
