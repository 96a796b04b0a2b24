import { command, type Kubectl, type Pod } from './kubectl.ts';
import { killerObject, namespaceObject } from './objects.ts';

const killer = 'killer';

/**
 * Sends SIGKILL to the processes whose control groups have a pod's uid in their path, in either spelling. It does not
 * work from inside the pod: process 1 of a namespace ignores SIGKILL from within (pid_namespaces(7)).
 */
const killCode = `const { readdirSync, readFileSync } = require('node:fs');
const uids = [process.argv[1], process.argv[1].replaceAll('-', '_')];
const killed = [];
for (const pid of readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))) {
  try {
    const groups = readFileSync('/proc/' + pid + '/cgroup', 'utf8');
    const name = readFileSync('/proc/' + pid + '/comm', 'utf8').trim();
    if (name !== 'pause' && uids.some((uid) => groups.includes(uid))) { process.kill(Number(pid), 'SIGKILL'); killed.push(pid); }
  } catch (error) { if (error.code !== 'ENOENT' && error.code !== 'ESRCH') throw error; }
}
process.stdout.write(JSON.stringify(killed));`;

/** Kills the processes of a pod, by a pod on its node that sees them. Returns the number of killed processes. */
export async function killProcesses(kubectl: Kubectl, pod: Pod, image: string): Promise<number> {
  const apply = (object: object) => command('kubectl', ['apply', '-f', '-'], { input: JSON.stringify(object) });
  await apply(namespaceObject(kubectl.namespace, 'privileged'));
  await kubectl.apply(killerObject(killer, image, pod.spec.nodeName ?? ''));
  await kubectl.run(['wait', '--for=condition=Ready', `pod/${killer}`, '--timeout=60s']);
  const killed = JSON.parse(await kubectl.node(killer, killCode, [pod.metadata.uid])) as readonly string[];
  await kubectl.run(['delete', 'pod', killer, '--wait=false']);
  return killed.length;
}
