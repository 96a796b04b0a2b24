import assert from 'node:assert/strict';
import { test } from 'node:test';
import { valueSections, valuesText } from './docs.ts';

const values = `# Values.

# -- Refuses trials.
production: false

# What tokens are checked by.
auth:
  # -- Name of the Secret
  # with the keys.
  existingSecret: ''
  keys:
    # -- Key in it.
    tokenSecret: token-secret

defaults:
  # -- What it is granted.
  resources:
    requests: { cpu: 100m }

# Serves streams.
fanout:
  resources:
    requests:
      cpu: 500m
`;

test('each key is listed with its default and the comment above it', () => {
  assert.deepEqual(valueSections(values), [
    { name: '', reason: '', keys: [{ path: 'production', fallback: false, reason: 'Refuses trials.' }] },
    {
      name: 'auth',
      reason: 'What tokens are checked by.',
      keys: [
        { path: 'auth.existingSecret', fallback: '', reason: 'Name of the Secret with the keys.' },
        { path: 'auth.keys.tokenSecret', fallback: 'token-secret', reason: 'Key in it.' },
      ],
    },
    {
      name: 'defaults',
      reason: '',
      keys: [{ path: 'defaults.resources', fallback: { requests: { cpu: '100m' } }, reason: 'What it is granted.' }],
    },
    {
      name: 'fanout',
      reason: 'Serves streams.',
      keys: [{ path: 'fanout.resources', fallback: { requests: { cpu: '500m' } }, reason: 'See `defaults`.' }],
    },
  ]);
});

test('a key without a comment is an error that names it', () => {
  assert.throws(() => valueSections('# -- Why.\na: 1\nb: 2\n'), /"b" has no comment; add a line "# -- why" above it/);
});

test('as a table, a bar in a comment does not end its cell', () => {
  assert.match(valuesText(valueSections('# -- This | that.\na: x\n')), /\| `a` \| `"x"` \| This \\\| that\. \|/);
});
