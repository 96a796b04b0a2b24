import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { blocksOf } from './blocks.ts';
import { BlockFault, Terminals } from './terminals.ts';

const temp = await createTempDir('terminals');
const terminals = new Terminals({ cwd: temp.path, env: process.env, scratch: temp.path });
after(async () => {
  await terminals.ctrlC();
  await temp.remove();
});

function run(mark: string, text: string): Promise<string> {
  const { blocks, faults } = blocksOf('p.md', `<!-- ${mark} -->\n\`\`\`sh\n${text}\n\`\`\`\n`);
  assert.deepEqual(faults, []);
  const [block] = blocks;
  assert.ok(block?.mark.setting === 'laptop');
  return terminals.run(block, block.mark);
}

test('a block goes on with the variables and the folder of the one before', async () => {
  await run('run: laptop', 'mkdir -p inner && cd inner\nNAME="a b"\nCOUNT=$((1 + 2))');
  assert.equal(
    await run('run: laptop', 'echo "$NAME" $COUNT $(basename "$PWD")\n# prints: a b 3 … inner'),
    'a b 3 inner\n',
  );
});

test('a command that fails, a text that is not printed, and a block that takes too long are faults that say where', async () => {
  await assert.rejects(run('run: laptop', 'echo before\nfalse\necho after'), (thrown) => {
    assert.ok(thrown instanceof BlockFault);
    assert.match(thrown.message, /^p\.md:3: ended with 1\n.*before\nline 2 of the block failed: false/s);
    assert.doesNotMatch(thrown.message, /after/);
    return true;
  });
  await assert.rejects(run('run: laptop', 'false | cat'), /ended with 1/);
  await assert.rejects(run('run: laptop', 'echo $NO_SUCH_NAME'), /NO_SUCH_NAME/);
  await assert.rejects(run('run: laptop', 'echo yes\n# prints: no'), /did not print no/);
  await assert.rejects(run('run: laptop, within 1 s', 'sleep 60'), /took longer than 1000 ms/);
});

test('what stays is waited for, and ended by Ctrl-C before the next that stays', async () => {
  const ends = join(temp.path, 'ends');
  const stays = (name: string) =>
    `trap 'echo ${name} >>${ends}; exit 130' INT\necho ${name} is up\nwhile true; do sleep 0.05; done`;
  await run('run: laptop, stays, ready: first is up', stays('first'));
  await run('run: laptop', `[ ! -e ${ends} ]`);
  await run('run: laptop, stays, ready: second is up', stays('second'));
  await run('run: laptop', `cat ${ends}\n# prints: first`);
  await run('run: laptop, stays too, ready: third is up', stays('third'));
  assert.equal(await run('run: laptop', `cat ${ends}`), 'first\n');
  await run('run: laptop, ends', `cat ${ends}\n# prints: first … third … second`);
  await assert.rejects(run('run: laptop, stays, ready: never, within 5 s', 'true'), /ended, and should stay/);
});
