import { type Tool, type ToolSource, tools } from '@tailrace/testkit/tool';

/** The machine on which the installer runs. */
export interface Machine {
  /** Returns the programs that are missing now. */
  missing(): Promise<readonly Tool[]>;
  isInstalled(program: string): Promise<boolean>;
  readonly isRoot: boolean;
  /** Whether a user at a terminal can answer a question. */
  readonly hasUser: boolean;
  ask(question: string): Promise<string>;
  /** Runs a command whose output the user sees. Returns whether it succeeded. */
  run(command: string, args: readonly string[]): boolean;
  /** Runs a command without output. Returns whether it succeeded. */
  succeeds(command: string, args: readonly string[]): boolean;
  print(text: string): void;
}

/**
 * Installs what `machine.missing` names, and prints what it cannot install with what to do. It never stops the tests:
 * their environment may name another Kafka or NATS, and a test without its program fails with the program's name.
 */
export async function installTools(machine: Machine): Promise<void> {
  const missing = await machine.missing();
  if (missing.length === 0) return;
  machine.print(`The tests need programs that this machine lacks: ${missing.join(', ')}.`);
  const reason = await installMissing(machine, missing);
  const left = await machine.missing();
  if (left.length === 0) return;
  const advice = left.map(
    (name) => `  ${name.padEnd(12)} Debian: apt install ${aptOf(name)[0]}; macOS: brew install ${brewOf(name)}`,
  );
  machine.print([reason, 'Install these; the tests that need them fail without:', ...advice].join('\n'));
}

/** Returns why a program may still be missing afterwards. */
async function installMissing(machine: Machine, missing: readonly Tool[]): Promise<string> {
  const hasApt = await machine.isInstalled('apt-get');
  if (!hasApt && !(await machine.isInstalled('brew'))) return 'There is neither apt-get nor brew.';
  const needsSudo = hasApt && !machine.isRoot;
  if (needsSudo && !(await machine.isInstalled('sudo'))) return 'There is no sudo, and this user is not root.';
  // Without a user there is no password either.
  const sudo = needsSudo ? ['sudo', ...(machine.hasUser ? [] : ['-n'])] : [];
  const manager = hasApt ? [...sudo, 'apt-get'].join(' ') : 'brew';
  if (machine.hasUser && !/^(y(es)?)?$/i.test((await machine.ask(`Install them by ${manager}? [Y/n] `)).trim()))
    return 'Nothing was installed.';
  if (hasApt) installByApt(machine, sudo, missing);
  else installByBrew(machine, missing);
  return `${manager} could not install all of them.`;
}

function installByBrew(machine: Machine, missing: readonly Tool[]): void {
  for (const args of distinct(missing.map(brewOf))) machine.run('brew', ['install', ...args.split(' ')]);
}

function installByApt(machine: Machine, sudo: readonly string[], missing: readonly Tool[]): void {
  const asRoot = (...words: readonly string[]) => {
    const [command, ...args] = [...sudo, ...words] as [string, ...string[]];
    return machine.run(command, args);
  };
  const install = (packages: readonly string[]) =>
    asRoot(
      ...['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-o', 'DPkg::Lock::Timeout=120'],
      ...['install', '-y', '-qq', '--no-install-recommends', ...packages],
    );
  asRoot('apt-get', 'update', '-qq');
  const packages: string[] = [];
  const services: string[] = [];
  const npmCommands: (readonly string[])[] = [];
  for (const name of missing) {
    const { service, npm }: ToolSource = tools[name];
    const found = aptOf(name).find((each) => machine.succeeds('apt-cache', ['show', '--no-all-versions', each]));
    if (found !== undefined) packages.push(found);
    else if (npm !== undefined) npmCommands.push(npm);
    if (found !== undefined && service !== undefined) services.push(service);
  }
  // A package that cannot be installed stops none of the others.
  if (packages.length > 0 && !install(distinct(packages))) for (const each of distinct(packages)) install([each]);
  for (const [command, ...args] of npmCommands) machine.run(command!, args);
  // Debian starts the servers that it installs. Tests start their own, and the ports belong to the user.
  if (services.length > 0 && machine.succeeds('test', ['-d', '/run/systemd/system']))
    asRoot('systemctl', 'disable', '--now', ...distinct(services));
}

function aptOf(name: Tool): readonly string[] {
  const { apt }: ToolSource = tools[name];
  return apt ?? [];
}

function brewOf(name: Tool): string {
  const { brew }: ToolSource = tools[name];
  return (brew ?? []).join(' ');
}

function distinct(some: readonly string[]): string[] {
  return [...new Set(some)];
}
