import assert from 'node:assert/strict';
import { test } from 'node:test';
import { browseTags } from './browse.ts';
import type { BrowseReference, OpcuaChannel, OpcuaDataValue } from './opcua-port.ts';
import { OpcuaError } from './opcua-port.ts';

interface Node {
  readonly children?: readonly string[];
  readonly value?: OpcuaDataValue['value'];
  readonly access?: number;
  readonly isProperty?: boolean;
  readonly name?: string;
}

const double = { dataType: 11, arrayType: 0, value: 1 };

/** A server with these nodes, which sends `atOnce` references of a node at once. */
function server(nodes: Readonly<Record<string, Node>>, atOnce = 1_000, continuationsMax = 1_000) {
  const calls: string[] = [];
  const open = new Map<string, readonly BrowseReference[]>();
  const reply = (references: readonly BrowseReference[], key: string) => {
    const rest = references.slice(atOnce);
    if (rest.length > 0 && open.size >= continuationsMax) {
      return { status: 'BadNoContinuationPoints', references: [], continuation: undefined };
    }
    if (rest.length > 0) open.set(key, rest);
    const continuation = rest.length > 0 ? Buffer.from(key) : undefined;
    return { status: 'Good', references: references.slice(0, atOnce), continuation };
  };
  const channel = {
    async read(wanted: Parameters<OpcuaChannel['read']>[0]) {
      calls.push(`read ${wanted.length}`);
      return wanted.map(({ node, attribute }): OpcuaDataValue => {
        const good = { value: 0, name: 'Good' };
        if (node === 'i=2255') {
          return { value: { dataType: 12, arrayType: 1, value: ['ua', 'urn:server', 'urn:plc'] }, statusCode: good };
        }
        if (node === 'i=11710') return { value: { dataType: 7, arrayType: 0, value: 2 }, statusCode: good };
        if (attribute === 18) {
          return { value: { dataType: 3, arrayType: 0, value: nodes[node]?.access ?? 1 }, statusCode: good };
        }
        return { value: nodes[node]?.value ?? null, statusCode: good };
      });
    },
    async browse(wanted: readonly string[]) {
      calls.push(`browse ${wanted.length}`);
      if (wanted.length > 2) throw new OpcuaError('BadTooManyOperations', 'too many');
      return wanted.map((node) =>
        reply(
          (nodes[node]?.children ?? []).map((child) => {
            const { value, isProperty = false, name = child.replace(/^.*=/, '') } = nodes[child]!;
            return {
              node: child,
              browseName: name,
              displayName: name,
              nodeClass: value === undefined ? 1 : 2,
              isProperty,
            };
          }),
          node,
        ),
      );
    },
    async browseNext(continuations: readonly Uint8Array[], isRelease: boolean) {
      calls.push(isRelease ? 'release' : 'next');
      return continuations.map((each) => {
        const key = Buffer.from(each).toString();
        const rest = open.get(key) ?? [];
        open.delete(key);
        return isRelease ? { status: 'Good', references: [], continuation: undefined } : reply(rest, key);
      });
    },
  };
  return { channel: channel as unknown as OpcuaChannel, calls, open };
}

const options = { root: 'i=85', depthMax: 10, nodesMax: 1_000, prefix: 'plant1' };

const plant: Readonly<Record<string, Node>> = {
  'ns=0;i=85': { children: ['ns=0;i=2253', 'ns=2;s=Boiler 1', 'ns=2;s=Pump'] },
  'ns=0;i=2253': { children: ['ns=0;i=2258'], name: 'Server' },
  'ns=0;i=2258': { value: double },
  'ns=2;s=Boiler 1': { children: ['ns=2;s=T', 'ns=2;s=Set', 'ns=2;s=List', 'ns=2;s=Struct'] },
  // A child of a variable, its unit, and a way back to the boiler.
  'ns=2;s=T': { value: double, children: ['ns=2;s=Low', 'ns=2;s=Unit', 'ns=2;s=Boiler 1'] },
  'ns=2;s=Low': { value: double },
  'ns=2;s=Unit': {
    value: { dataType: 22, arrayType: 0, value: { unitId: 4_408_652, displayName: { text: '°C' } } },
    isProperty: true,
    name: 'EngineeringUnits',
  },
  'ns=2;s=Set': { value: double, access: 3 },
  'ns=2;s=List': { value: { dataType: 6, arrayType: 1, value: [1] } },
  'ns=2;s=Struct': { value: { dataType: 22, arrayType: 0, value: {} } },
  'ns=2;s=Pump': { children: ['ns=2;s=Hidden', 'ns=2;s=T'] },
  'ns=2;s=Hidden': { value: double, access: 0 },
};

test('readable scalar variables are listed once, children of variables too, with their units', async () => {
  const { channel } = server(plant);
  const { tags, writable, leftOut, isPartial } = await browseTags(channel, options);
  assert.deepEqual(tags, [
    { device: 'plant1.Boiler-1', tag: 'T', node: 'nsu=urn:plc;s=T', unit: 'Cel' },
    { device: 'plant1.Boiler-1', tag: 'Set', node: 'nsu=urn:plc;s=Set' },
    { device: 'plant1.Boiler-1.T', tag: 'Low', node: 'nsu=urn:plc;s=Low' },
  ]);
  assert.deepEqual(writable, [tags[1]]);
  assert.deepEqual([...leftOut.values()], [1, 1, 1]);
  assert.equal(isPartial, false);
});

test('the root is a node with the index or the URI of its namespace, and one of another namespace is an error', async () => {
  for (const root of ['nsu=urn:plc;s=Boiler 1', 'ns=2;s=Boiler 1']) {
    const { tags } = await browseTags(server(plant).channel, { ...options, root });
    assert.deepEqual(
      tags.map(({ node }) => node),
      ['nsu=urn:plc;s=T', 'nsu=urn:plc;s=Set', 'nsu=urn:plc;s=Low'],
    );
  }
  await assert.rejects(browseTags(server(plant).channel, { ...options, root: 'nsu=urn:other;s=T' }), {
    code: 'not_found',
    message: /expected a node in one of ua, urn:server, urn:plc, got "nsu=urn:other;s=T"/,
  });
});

test('references that do not come at once are fetched', async () => {
  const { channel, calls, open } = server(plant, 1);
  assert.equal((await browseTags(channel, options)).tags.length, 3);
  assert.ok(calls.includes('next'));
  assert.equal(open.size, 0, 'no continuation point is left');
});

test('a server with one continuation point is browsed node by node', async () => {
  const { channel, calls, open } = server(plant, 1, 1);
  assert.equal((await browseTags(channel, options)).tags.length, 3);
  assert.ok(calls.includes('release'));
  assert.equal(open.size, 0, 'no continuation point is left');
});

test('the limits of nodes and depth leave the rest out, and are reported', async () => {
  const few = await browseTags(server(plant).channel, { ...options, nodesMax: 6 });
  assert.ok(few.isPartial && few.tags.length < 3);
  const flat = await browseTags(server(plant).channel, { ...options, depthMax: 2 });
  assert.deepEqual([flat.tags.length, flat.isPartial], [2, true]);
});

test('a deep path keeps the last segments of a device, and equal names get numbers', async () => {
  const nodes: Record<string, Node> = {};
  let node = 'ns=0;i=85';
  for (let level = 0; level < 12; level++) {
    nodes[node] = { children: [`ns=2;s=l${level}`] };
    node = `ns=2;s=l${level}`;
  }
  nodes[node] = { children: ['ns=2;s=a', 'ns=2;s=b'] };
  nodes['ns=2;s=a'] = { value: double, name: 'v' };
  nodes['ns=2;s=b'] = { value: double, name: 'v' };
  const { tags } = await browseTags(server(nodes).channel, { ...options, depthMax: 20 });
  assert.deepEqual(
    tags.map(({ device, tag }) => [device, tag]),
    [
      ['plant1.l5.l6.l7.l8.l9.l10.l11', 'v'],
      ['plant1.l5.l6.l7.l8.l9.l10.l11', 'v-2'],
    ],
  );
});
