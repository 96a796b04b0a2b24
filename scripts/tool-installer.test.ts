import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tool } from '@tailrace/testkit/tool';
import { installTools, type Machine } from './tool-installer.ts';

interface Setting {
  readonly missing: readonly Tool[];
  /** Other programs of the machine. */
  readonly programs: readonly string[];
  /** Packages that apt has. Default: all. */
  readonly packages?: readonly string[];
  readonly isRoot?: boolean;
  /** The user's answer. Default: no user. */
  readonly answer?: string;
  readonly fails?: (command: string) => boolean;
  readonly hasSystemd?: boolean;
}

/** Runs the installer on a machine that records commands, and where each one that succeeds installs all it names. */
async function installOn(setting: Setting) {
  const commands: string[] = [];
  const printed: string[] = [];
  const questions: string[] = [];
  const present = new Set<string>();
  const machine: Machine = {
    missing: async () => setting.missing.filter((name) => !present.has(name)),
    isInstalled: async (program) => setting.programs.includes(program),
    isRoot: setting.isRoot ?? true,
    hasUser: setting.answer !== undefined,
    async ask(question) {
      questions.push(question);
      return setting.answer ?? '';
    },
    run(command, args) {
      const line = [command, ...args].join(' ');
      commands.push(line);
      if (setting.fails?.(line)) return false;
      if (line.includes('install'))
        for (const name of setting.missing) if (line.includes(packageOf[name] ?? name)) present.add(name);
      return true;
    },
    succeeds: (command, args) =>
      command === 'test' ? (setting.hasSystemd ?? false) : (setting.packages?.includes(args.at(-1)!) ?? true),
    print: (text) => printed.push(text),
  };
  await installTools(machine);
  return { commands, questions, printed: printed.join('\n') };
}

const packageOf: Partial<Record<Tool, string>> = { java: 'jre', mvn: 'maven', promtool: 'prometheus', go: 'golang' };
const aptInstall =
  'env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=120 install -y -qq --no-install-recommends';

test('nothing is run or printed where nothing is missing', async () => {
  assert.deepEqual(await installOn({ missing: [], programs: ['apt-get'] }), {
    commands: [],
    questions: [],
    printed: '',
  });
});

test('root installs all by one apt-get, each package once, without a question where there is no user', async () => {
  const { commands, questions, printed } = await installOn({
    missing: ['java', 'mvn', 'prometheus', 'promtool'],
    programs: ['apt-get'],
  });
  assert.deepEqual(commands, ['apt-get update -qq', `${aptInstall} openjdk-17-jre-headless maven prometheus`]);
  assert.deepEqual(questions, []);
  assert.equal(printed, 'The tests need programs that this machine lacks: java, mvn, prometheus, promtool.');
});

test('another user installs by sudo, which asks for no password where there is no user', async () => {
  const setting: Setting = { missing: ['nginx'], programs: ['apt-get', 'sudo'], isRoot: false };
  assert.deepEqual((await installOn(setting)).commands, ['sudo -n apt-get update -qq', `sudo -n ${aptInstall} nginx`]);
  const asked = await installOn({ ...setting, answer: '' });
  assert.deepEqual(asked.questions, ['Install them by sudo apt-get? [Y/n] ']);
  assert.deepEqual(asked.commands, ['sudo apt-get update -qq', `sudo ${aptInstall} nginx`]);
});

test('a user who does not agree gets nothing installed, and what to install by hand', async () => {
  const { commands, printed } = await installOn({ missing: ['mvn'], programs: ['apt-get'], answer: 'n' });
  assert.deepEqual(commands, []);
  assert.match(
    printed,
    /Nothing was installed\.\nInstall these; .*\n {2}mvn +Debian: apt install maven; macOS: brew install maven$/,
  );
});

test('a machine without apt-get and brew, or without sudo, gets the list of what to install', async () => {
  const without = await installOn({ missing: ['haproxy'], programs: ['dnf'] });
  assert.match(without.printed, /neither apt-get nor brew\.\n[\s\S]*haproxy +Debian: apt install haproxy/);
  const user = await installOn({ missing: ['haproxy'], programs: ['apt-get'], isRoot: false });
  assert.match(user.printed, /There is no sudo/);
  assert.deepEqual([...without.commands, ...user.commands], []);
});

test('macOS installs by brew, one after the other; a Linux that has brew as well by apt', async () => {
  const { commands } = await installOn({
    missing: ['mvn', 'chromium'],
    programs: ['brew'],
    isRoot: false,
    answer: 'yes',
  });
  assert.deepEqual(commands, ['brew install maven', 'brew install --cask google-chrome']);
  const linux = await installOn({ missing: ['mvn'], programs: ['apt-get', 'brew'] });
  assert.deepEqual(linux.commands, ['apt-get update -qq', `${aptInstall} maven`]);
});

test('a package of another release is taken where the first is not there, and npm where apt has none', async () => {
  const { commands } = await installOn({
    missing: ['java', 'chromium'],
    programs: ['apt-get'],
    packages: ['openjdk-21-jre-headless'],
  });
  assert.deepEqual(commands.slice(1), [
    `${aptInstall} openjdk-21-jre-headless`,
    'playwright-core install --with-deps chromium',
  ]);
});

test('a package that cannot be installed stops none of the others, and is named', async () => {
  const { commands, printed } = await installOn({
    missing: ['mvn', 'nginx'],
    programs: ['apt-get'],
    fails: (command) => command.includes('maven'),
  });
  assert.deepEqual(commands.slice(1), [`${aptInstall} maven nginx`, `${aptInstall} maven`, `${aptInstall} nginx`]);
  assert.match(printed, /apt-get could not install all of them\.\n.*\n {2}mvn [^\n]*$/);
});

test('servers that Debian starts are stopped where systemd runs them', async () => {
  const { commands } = await installOn({ missing: ['nginx', 'openssl'], programs: ['apt-get'], hasSystemd: true });
  assert.equal(commands.at(-1), 'systemctl disable --now nginx');
});
