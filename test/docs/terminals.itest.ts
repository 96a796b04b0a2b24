import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { blocksOf } from './blocks.ts';
import { BlockError, Terminals } from './terminals.ts';

const temp = await createTempDir('terminals');
const terminals = new Terminals({ cwd: temp.path, env: process.env, scratch: temp.path });
after(async () => {
  await terminals.ctrlC();
  await temp.remove();
});

function run(directive: string, text: string): Promise<string> {
  const { blocks, errors } = blocksOf('p.md', `<!-- ${directive} -->\n\`\`\`sh\n${text}\n\`\`\`\n`);
  assert.deepEqual(errors, []);
  const [block] = blocks;
  assert.ok(block?.directive.setting === 'laptop');
  return terminals.run(block, block.directive);
}

test('a block has the variables and the folder of the one before', async () => {
  await run('run: laptop', 'mkdir -p inner && cd inner\nNAME="a b"\nCOUNT=$((1 + 2))');
  assert.equal(
    await run('run: laptop', 'echo "$NAME" $COUNT $(basename "$PWD")\n# prints: a b 3 … inner'),
    'a b 3 inner\n',
  );
});

test('programs have the variables that a block exports, and no others, as in the shell of a reader', async () => {
  await run('run: laptop', 'INNER=1\nexport OUTER="a b"\nOTHER=2');
  const seen = 'printenv INNER OUTER OTHER || true';
  assert.equal(await run('run: laptop', `OTHER=3\n${seen}\necho $INNER $OTHER`), 'a b\n1 3\n');
  assert.equal(await run('run: laptop', `export OTHER\n${seen}`), 'a b\n3\n');
  assert.equal(await run('run: laptop', seen), 'a b\n3\n');
});

test('a command that fails, a text that is not printed, and a block that takes too long are errors with their place', async () => {
  await assert.rejects(run('run: laptop', 'echo before\nfalse\necho after'), (thrown) => {
    assert.ok(thrown instanceof BlockError);
    assert.match(thrown.message, /^p\.md:3: exited with 1\n.*before\nline 2 of the block failed: false/s);
    assert.doesNotMatch(thrown.message, /after/);
    return true;
  });
  await assert.rejects(run('run: laptop', 'false | cat'), /exited with 1/);
  await assert.rejects(run('run: laptop', 'echo $NO_SUCH_NAME'), /NO_SUCH_NAME/);
  await assert.rejects(run('run: laptop', 'echo yes\n# prints: no'), /did not print no/);
  await assert.rejects(run('run: laptop, within 1 s', 'sleep 60'), /took longer than 1000 ms/);
});

test('a block that stays is awaited until it is ready, and stopped by Ctrl-C before the next one', async () => {
  const stopped = join(temp.path, 'stopped');
  const stays = (name: string) =>
    `trap 'echo ${name} >>${stopped}; exit 130' INT\necho ${name} is up\nwhile true; do sleep 0.05; done`;
  await run('run: laptop, stays, ready: first is up', stays('first'));
  await run('run: laptop', `[ ! -e ${stopped} ]`);
  await run('run: laptop, stays, ready: second is up', stays('second'));
  await run('run: laptop', `cat ${stopped}\n# prints: first`);
  await run('run: laptop, stays too, ready: third is up', stays('third'));
  assert.equal(await run('run: laptop', `cat ${stopped}`), 'first\n');
  await run('run: laptop, stops others', `cat ${stopped}\n# prints: first … third … second`);
  await assert.rejects(run('run: laptop, stays, ready: never, within 5 s', 'true'), /exited, and should stay/);
});
