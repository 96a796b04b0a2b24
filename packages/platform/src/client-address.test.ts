import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressFrom, addressKey, clientAddress, proxiesFrom } from './client-address.ts';

test('an address has one canonical form', () => {
  for (const [text, expected] of [
    ['10.0.0.1', '10.0.0.1'],
    ['10.0.0.1:4711', '10.0.0.1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['0000:0000:0000:0000:0000:ffff:0a00:0001', '10.0.0.1'],
    ['[2001:db8::1]:443', '2001:db8::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['unknown', undefined],
    ['10.0.0.256', undefined],
    ['', undefined],
    ['_hidden', undefined],
  ] as const)
    assert.equal(addressFrom(text), expected, text);
});

test('the addresses of an IPv6 /64 have one key', () => {
  assert.equal(addressKey('10.0.0.1'), '10.0.0.1');
  const key = '2001:db8:0:7::/64';
  for (const text of ['2001:db8:0:7::1', '2001:0DB8:0000:0007:ffff:ffff:ffff:ffff', '2001:db8:0:7:1:2:3:4'])
    assert.equal(addressKey(text), key, text);
  assert.notEqual(addressKey('2001:db8:0:8::1'), key);
  assert.equal(addressKey('::1'), '0:0:0:0::/64');
});

test('X-Forwarded-For is trusted from trusted proxies only, up to the first other address', () => {
  const trusted = proxiesFrom(['10.0.0.0/8', '192.0.2.7', 'fd00::/8']);
  for (const [peer, header, expected] of [
    ['203.0.113.9', '198.51.100.1', '203.0.113.9'],
    ['10.1.2.3', '', '10.1.2.3'],
    ['10.1.2.3', '198.51.100.1', '198.51.100.1'],
    ['::ffff:10.1.2.3', '198.51.100.1', '198.51.100.1'],
    ['10.1.2.3', '1.1.1.1, 198.51.100.1', '198.51.100.1'],
    ['10.1.2.3', '1.1.1.1, 198.51.100.1,10.9.9.9 , 192.0.2.7', '198.51.100.1'],
    ['10.1.2.3', '10.4.4.4', '10.4.4.4'],
    ['10.1.2.3', '198.51.100.1, nonsense', '10.1.2.3'],
    ['fd00::1', '[2001:db8::5]:80', '2001:db8::5'],
  ] as const)
    assert.equal(clientAddress(peer, header, trusted), expected, `${peer} ${header}`);
});

test('without trusted proxies no client can claim the address of another', () => {
  assert.equal(clientAddress('127.0.0.1', '1.1.1.1', proxiesFrom([])), '127.0.0.1');
});

test('anything but an address or a network is refused with its text', () => {
  for (const text of ['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', 'proxy.example', '10.0.0/8', '::/129', ''])
    assert.throws(() => proxiesFrom([text]), {
      code: 'invalid_config',
      message: /^trustedProxies: expected an address or a network, .*10\.0\.0\.0\/8, got "/,
    });
});
