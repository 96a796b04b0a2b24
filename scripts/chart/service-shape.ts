import { z } from 'zod';
import { brokerShapes } from './broker-shapes.ts';
import { kubernetesList, kubernetesObject, texts } from './open-shapes.ts';

const quantity = z.union([z.string(), z.number()]);
const amounts = z.record(z.string(), quantity);
const replicas = z.int().min(1).max(100);
const seconds = z.int().min(0).max(86_400);

/** Keys of every service's section and of `defaults`. `config` is added by its own schema. */
export const serviceShape = {
  enabled: z.union([z.boolean(), z.null()]),
  replicas: z.union([z.int().min(0).max(100), z.null()]),
  image: z.string(),
  kafka: brokerShapes.kafka,
  resources: z.strictObject({ requests: amounts, limits: amounts }),
  service: z.strictObject({ type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer']), annotations: texts }),
  pdb: z.strictObject({ enabled: z.boolean(), maxUnavailable: z.union([z.int().min(1), z.string()]) }),
  hpa: z.strictObject({
    enabled: z.boolean(),
    minReplicas: replicas,
    maxReplicas: replicas,
    cpuPercent: z.union([z.int().min(1).max(1000), z.null()]),
    podMetrics: amounts,
    behavior: kubernetesObject,
  }),
  keda: z.strictObject({
    enabled: z.boolean(),
    minReplicas: replicas,
    maxReplicas: replicas,
    lagReports: z.int().min(1),
    cooldownSeconds: seconds,
    triggers: kubernetesList,
  }),
  topologySpread: z.strictObject({
    enabled: z.boolean(),
    whenUnsatisfiable: z.enum(['ScheduleAnyway', 'DoNotSchedule']),
  }),
  terminationGracePeriodSeconds: z.union([seconds, z.null()]),
  startupSeconds: z.int().min(1).max(3600),
  minReadySeconds: seconds,
  podLabels: texts,
  podAnnotations: texts,
  nodeSelector: texts,
  tolerations: kubernetesList,
  affinity: kubernetesObject,
  priorityClassName: z.string(),
  sysctls: kubernetesList,
  extraEnv: kubernetesList,
  extraVolumes: kubernetesList,
  extraVolumeMounts: kubernetesList,
};

const token = z.strictObject({ sign: z.boolean(), secretKey: z.string() });

const persistence = z.strictObject({
  enabled: z.boolean(),
  size: z.string().min(1),
  storageClassName: z.string(),
  whenDeleted: z.enum(['Retain', 'Delete']),
});

/** Further keys of some services. */
export const sectionExtras: Readonly<Record<string, z.ZodRawShape>> = {
  fanout: { publicUrl: z.string().regex(/^(|wss?:\/\/.+)$/, 'ws:// or wss://') },
  ingest: {
    stableNames: z.boolean(),
    tls: z.strictObject({
      enabled: z.boolean(),
      certSecret: z.string(),
      certKey: z.string(),
      keyKey: z.string(),
      clientCaSecret: z.string(),
      clientCaKey: z.string(),
      clientCrlSecret: z.string(),
      clientCrlKey: z.string(),
    }),
    mqtt: z.strictObject({
      enabled: z.boolean(),
      service: z.strictObject({
        type: z.enum(['', 'ClusterIP', 'NodePort', 'LoadBalancer']),
        annotations: texts,
        externalTrafficPolicy: z.enum(['Local', 'Cluster']),
      }),
    }),
  },
  dashboard: { token },
  simulator: { token },
  edge: { persistence },
  standalone: { persistence },
};
