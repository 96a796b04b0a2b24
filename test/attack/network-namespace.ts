import { TailraceError } from '@tailrace/protocol/error';
import { startSupervised } from '@tailrace/testkit/supervised';

/**
 * Runs a command in a network namespace of its own, with loopback and a limit of receive buffers. Needs Linux, with
 * root or user namespaces. Rejects with `unavailable` without them.
 */
export async function runInNamespace(receiveBufferBytes: number, command: readonly string[]): Promise<void> {
  const asRoot = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const setUp = `ip link set lo up && echo '4096 131072 ${receiveBufferBytes}' > /proc/sys/net/ipv4/tcp_rmem && exec "$@"`;
  const child = await startSupervised({
    command: 'unshare',
    args: [...asRoot, '--net', 'sh', '-c', setUp, 'sh', ...command],
    output: 'pipes',
  });
  let output = '';
  for (const stream of [child.child.stdout!, child.child.stderr!]) {
    stream.on('data', (bytes: Buffer) => {
      output += bytes.toString('utf8');
    });
  }
  const { code } = await child.exited;
  // 1: the attack had an effect, which is in its figures.
  if (code !== 0 && code !== 1) {
    throw new TailraceError(
      'unavailable',
      `a network namespace: expected unshare and ip (root, or user namespaces), got ${code}: ${output.slice(-500)}`,
    );
  }
}
