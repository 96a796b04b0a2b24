/** Kubernetes objects of the run itself. */

const restrictedPod = {
  runAsNonRoot: true,
  runAsUser: 1000,
  runAsGroup: 1000,
  seccompProfile: { type: 'RuntimeDefault' },
};
const restrictedContainer = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};

export function namespaceObject(name: string, security: 'restricted' | 'privileged'): object {
  const labels = { 'pod-security.kubernetes.io/enforce': security };
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
}

export function secretObject(name: string, data: Record<string, string>): object {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData: data };
}

/** The pod of devices and clients. On the node of the brokers, which is not drained. */
export function clientsObject(name: string, image: string, tokenSecret: string): object {
  const affinity = {
    podAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: [
        {
          topologyKey: 'kubernetes.io/hostname',
          labelSelector: { matchLabels: { 'app.kubernetes.io/name': 'kafka' } },
        },
      ],
    },
  };
  const env = [{ name: 'TOKEN', valueFrom: { secretKeyRef: { name: tokenSecret, key: 'token' } } }];
  return podObject(name, image, { affinity, env, requests: { cpu: '200m', memory: '192Mi' } });
}

/** A pod outside of Tailrace. It listens, so that a connection to it would be detected. */
export function strangerObject(name: string, image: string, port: number): object {
  const code = `require('node:net').createServer((socket) => socket.end()).listen(${port}); process.on('SIGTERM', () => process.exit(0));`;
  return podObject(name, image, { command: ['node', '-e', code], requests: { cpu: '10m', memory: '48Mi' } });
}

function podObject(
  name: string,
  image: string,
  more: { affinity?: object; env?: object[]; command?: string[]; requests: object },
): object {
  const { affinity, env, command, requests } = more;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { 'app.kubernetes.io/name': name, 'app.kubernetes.io/part-of': 'tailrace-test' } },
    spec: {
      affinity,
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 1,
      securityContext: restrictedPod,
      containers: [{ name, image, command, env, securityContext: restrictedContainer, resources: { requests } }],
    },
  };
}

/** A pod that sees and may kill the processes of a node, for a namespace that allows it. */
export function killerObject(name: string, image: string, node: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: {
      nodeName: node,
      hostPID: true,
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name,
          image,
          command: ['node', '-e', "setInterval(() => {}, 1e6); process.on('SIGTERM', () => process.exit(0));"],
          securityContext: { runAsUser: 0, runAsGroup: 0 },
        },
      ],
    },
  };
}
