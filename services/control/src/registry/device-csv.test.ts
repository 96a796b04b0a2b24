import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTailraceError } from '@tailrace/protocol/error';
import { deviceFieldsSchema, type RegistryDevice, searchTextOf, searchWords } from './device.ts';
import { csvLimits, mergeImported, readDeviceCsv } from './device-csv.ts';

const read = (text: string) => readDeviceCsv(Buffer.from(text));

async function refusal(input: string | Uint8Array): Promise<string> {
  try {
    await readDeviceCsv(Buffer.from(input));
  } catch (error) {
    assert.ok(isTailraceError(error), String(error));
    return `${error.code}: ${error.message}`;
  }
  return assert.fail('it was accepted');
}

test('a line for each device, and one for each tag', async () => {
  const { devices, lines, errorCount } = await read(
    '\ufeffPath,name,kind,label.line,tag,unit,min,max,writable\r\n' +
      'plant1.line3.press7,"Press ""7"", left",press,3,temperature,Cel,-10,90.5,no\r\n' +
      'plant1.line3.press7,,,,speed,,,,yes\r\n\r\n' +
      'plant1.line3.press8,,press,,,,,,\r\n',
  );
  assert.deepEqual([lines, errorCount], [3, 0]);
  assert.deepEqual(
    [...devices.values()],
    [
      {
        path: 'plant1.line3.press7',
        line: 2,
        fields: { name: 'Press "7", left', kind: 'press' },
        labels: { line: '3' },
        tags: { temperature: { unit: 'Cel', min: -10, max: 90.5, writable: false }, speed: { writable: true } },
      },
      { path: 'plant1.line3.press8', line: 5, fields: { kind: 'press' }, labels: {}, tags: {} },
    ],
  );
});

test('semicolons of a spreadsheet are accepted', async () => {
  const { devices } = await read('path;name\nh.a;Lamp, left\n');
  assert.equal(devices.get('h.a')?.fields.name, 'Lamp, left');
});

test('each invalid line is named, with its number, column and reason', async () => {
  const { errors, errorCount } = await read(
    [
      'path,name,gateway,tag,unit,type,min,max',
      'h..a,,,,,,,',
      ',Lamp,,,,,,',
      'h.b,too,many,cells,,,,,,',
      'h.c,,no path,,,,,',
      'h.d,,,t,,number,high,',
      'h.d,,,u,,integer,,',
      'h.d,,,v,,number,9,1',
      'h.d,,,v2,,number,1,9',
      'h.d,,,v2,,number,1,9',
      'h.e,Lamp,,,Cel,,,',
      'h.f,One,,,,,,',
      'h.f,Two,,,,,,',
    ].join('\n'),
  );
  assert.equal(errorCount, 10);
  const found = errors.map(({ line, column, message }) => `${line} ${column} ${message}`);
  const expected = [
    /^2 path expected a device path.*got "h\.\.a"/,
    /^3 path expected a device path, got an empty cell/,
    /^4 {2}expected 8 columns, got 10/,
    /^5 gateway .*got "no path"/,
    /^6 min .*got "high"/,
    /^7 type .*got "integer"/,
    /^8 min expected at most 1 \(max\), got 9$/,
    /^10 tag expected each tag once, got "v2" again/,
    /^11 unit expected a name in the column "tag"/,
    /^13 name expected "One", as in another line of the device, got "Two"/,
  ];
  for (const [n, pattern] of expected.entries()) assert.match(found[n] ?? '', pattern);
});

test('an invalid quote is named with its line', async () => {
  const { errors } = await read('path,name\nh.a,ok\nh.b,"Lamp" left\nh.c,x\n');
  assert.equal(errors[0]?.line, 3);
  const open = await read('path,name\nh.a,"never closed\nh.b,x\n');
  assert.equal(open.errorCount, 1);
});

test('a tag that JSON of JavaScript cannot have is an error, and not lost', async () => {
  const { errors } = await read('path,tag,unit\nh.a,__proto__,Cel\nh.a,constructor,K\n');
  assert.deepEqual(
    errors.map(({ line, column }) => [line, column]),
    [[2, 'tag']],
  );
});

test('what is no such file is refused whole', async () => {
  assert.match(await refusal(''), /^invalid_message: CSV: expected a header with the column "path"/);
  assert.match(await refusal('name\nx'), /expected the column "path", got "name"/);
  assert.match(await refusal('path,weight\nx'), /expected the columns path, .*got "weight"/);
  assert.match(await refusal('path,path\nx'), /each column once, got "path" again/);
  assert.match(await refusal(Buffer.from([0x70, 0xff, 0xfe])), /UTF-8/);
  assert.match(await refusal(`path,${'label.a,'.repeat(70)}name\n`), /at most 64 columns/);
  assert.match(await refusal(new Uint8Array(csvLimits.bytesMax + 1)), /^too_large: /);
});

test('errors are counted, and the first hundred reported', async () => {
  const { errors, errorCount } = await read(`path\n${'-.-.\n'.repeat(1_000)}`);
  assert.deepEqual([errors.length, errorCount], [100, 1_000]);
});

const known: RegistryDevice = {
  ...deviceFieldsSchema.parse({
    name: 'Lamp',
    kind: 'lamp',
    labels: { floor: '1' },
    tags: { on: { type: 'boolean' } },
  }),
  id: 'd1',
  path: 'h.a',
  state: 'active',
  source: 'report',
  version: 1,
  createdMs: 0,
  formerPaths: [],
};

test('an import adds to what is known, and an empty cell changes nothing', async () => {
  const { devices } = await read('path,name,place,label.room,tag,writable\nh.a,,Hall,hall,on,yes\n');
  const { change, fields } = mergeImported(known, devices.get('h.a')!);
  assert.equal(change, 'update');
  assert.deepEqual(
    [fields.name, fields.place, fields.labels, fields.tags],
    ['Lamp', 'Hall', { floor: '1', room: 'hall' }, { on: { type: 'boolean', writable: true } }],
  );
  const again = await read('path,name,label.floor,tag,type\nh.a,Lamp,1,on,boolean\n');
  assert.equal(mergeImported(known, again.devices.get('h.a')!).change, 'unchanged');
  assert.equal(mergeImported(undefined, again.devices.get('h.a')!).change, 'create');
});

test('words of a search are found in path, name, kind, place and labels', () => {
  const text = searchTextOf({ ...known, place: 'Upper Hall' });
  for (const word of searchWords('  LAMP h.a floor=1 upper upper ')) assert.ok(text.includes(word), word);
  assert.deepEqual(searchWords('a A  b'), ['a', 'b']);
});
