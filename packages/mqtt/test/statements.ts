import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Version } from './raw-packets.ts';
import type { RawClient } from './server-fixture.ts';

/** The numbers of one statement in the two versions; a version without the statement is left out. */
export interface Numbers {
  readonly v4?: string;
  readonly v5?: string;
}

/** Registers a test for each version that has the statement. */
export function statement(numbers: Numbers, sentence: string, check: (version: Version) => void | Promise<void>): void {
  if (numbers.v4 !== undefined) test(`[3.1.1 MQTT-${numbers.v4}] ${sentence}`, () => check(4));
  if (numbers.v5 !== undefined) test(`[5 MQTT-${numbers.v5}] ${sentence}`, () => check(5));
}

/** Expects that an open connection was closed: by DISCONNECT with the reason in MQTT 5, without a packet in 3.1.1. */
export function assertRefused(client: RawClient, reason: number, what = ''): void {
  const expected = client.version === 5 ? [`disconnect 0x${reason.toString(16)}`] : [];
  assert.deepEqual(client.answers(), expected, what);
  assert.equal(client.isClosed, true, what);
}

/** Expects that a CONNECT was refused: by CONNACK with the reason in MQTT 5, with the code if there is one in 3.1.1. */
export function assertNotConnected(client: RawClient, reason: number, returnCode?: number, what = ''): void {
  const code = client.version === 5 ? reason : returnCode;
  const expected = code === undefined ? [] : [`connack 0 0x${code.toString(16).padStart(2, '0')}`];
  assert.deepEqual(client.answers(), expected, what);
  assert.equal(client.isClosed, true, what);
}
