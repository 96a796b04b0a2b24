import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isNodeId, portableNode, resolvedNode } from './node-id.ts';

const namespaces = ['http://opcfoundation.org/UA/', 'urn:server', 'urn:plc'];

test('a node has its identifier, and the index or URI of its namespace', () => {
  for (const node of [
    'i=2258',
    'ns=2;i=1001',
    'ns=2;s=Boiler.T;1',
    'nsu=urn:plc;s=a=b',
    'ns=1;g=12345678-1234-1234-1234-123456789012',
    'ns=1;b=AQID',
  ]) {
    assert.ok(isNodeId(node), node);
  }
  for (const node of ['', 'x', 'ns=2', 'ns=x;i=1', 'i=x', 'nsu=;s=a', 's=']) assert.ok(!isNodeId(node), node);
});

test('the URI of a namespace becomes its index at the server', () => {
  assert.equal(resolvedNode('nsu=urn:plc;s=T', namespaces), 'ns=2;s=T');
  assert.equal(resolvedNode('i=2258', namespaces), 'ns=0;i=2258');
  assert.equal(resolvedNode('ns=7;s=T', namespaces), 'ns=7;s=T');
  assert.equal(resolvedNode('nsu=urn:other;s=T', namespaces), undefined);
});

test('a node for a file has the URI, which does not change with the configuration of the server', () => {
  assert.equal(portableNode('ns=2;s=T', namespaces), 'nsu=urn:plc;s=T');
  assert.equal(portableNode('ns=0;i=2258', namespaces), 'i=2258');
  assert.equal(portableNode('ns=9;s=T', namespaces), 'ns=9;s=T');
});
