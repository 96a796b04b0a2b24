import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isNetwork, OutwardAddresses } from './outward-address.ts';

const isAllowed = (addresses: OutwardAddresses, address: string) => {
  try {
    addresses.assert(address);
    return true;
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'forbidden', address);
    return false;
  }
};

test('this machine, its link and the metadata of clouds are refused, however they are written', () => {
  const addresses = new OutwardAddresses([]);
  for (const address of [
    ...['127.0.0.1', '127.8.8.8', '0.0.0.0', '169.254.169.254', '224.0.0.1', '255.255.255.255'],
    ...['::1', '::', 'fe80::1', 'fe80::1%eth0', 'ff02::1', 'fd00:ec2::254', '[::1]'],
    ...['::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:a9fe:a9fe', '64:ff9b::7f00:1', '64:ff9b::a9fe:a9fe'],
    ...['::127.0.0.1', '::ffff:0:127.0.0.1', '2002:7f00:1::', '64:ff9b:1::7f00:1'],
    ...['100.100.100.200', '168.63.129.16', '192.0.0.192', '::ffff:100.100.100.200'],
    ...['localhost', '', '127.1', '2130706433', '0x7f.1'],
  ])
    assert.equal(isAllowed(addresses, address), false, address);
});

test('private and public networks are allowed: the receivers of a plant are in one', () => {
  const addresses = new OutwardAddresses([]);
  for (const address of ['10.0.0.7', '192.168.1.5', '172.16.0.1', '93.184.216.34', 'fd12:3456::1', '2001:db8::1'])
    assert.equal(isAllowed(addresses, address), true, address);
});

test('the host of a URL is refused if its address, or the name of this machine, is', () => {
  const [addresses, local] = [new OutwardAddresses([]), new OutwardAddresses(['127.0.0.0/8'])];
  for (const host of ['127.0.0.1', '[::1]', 'localhost', 'a.localhost', '169.254.169.254'])
    assert.equal(addresses.allowsHost(host), false, host);
  for (const host of ['10.0.0.7', 'incidents.plant.example', 'localhost.plant.example', '[fd12:3456::1]'])
    assert.ok(addresses.allowsHost(host), host);
  assert.ok(local.allowsHost('localhost') && local.allowsHost('127.0.0.1'));
});

test('a setting allows networks that are refused otherwise', () => {
  const addresses = new OutwardAddresses(['127.0.0.1', 'fe80::/64']);
  for (const address of ['127.0.0.1', '::ffff:127.0.0.1', 'fe80::1']) assert.ok(isAllowed(addresses, address), address);
  for (const address of ['127.0.0.2', '::1']) assert.equal(isAllowed(addresses, address), false, address);
  assert.deepEqual(['10.0.0.0/8', '::/0', '10.0.0.0/33', '10.0.0', 'plant.example', '10.0.0.0/8/8'].map(isNetwork), [
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});
