/** Sources of the schemas. Add each new kind of the templates here. */
export const kubernetes = {
  module: 'k8s.io/kubernetes@v1.34.4',
  file: 'api/openapi-spec/swagger.json',
  kinds: [
    ...core(['ConfigMap', 'Namespace', 'PersistentVolumeClaim', 'Pod', 'Secret', 'Service', 'ServiceAccount']),
    { definition: 'io.k8s.api.apps.v1.Deployment', group: 'apps', version: 'v1' },
    { definition: 'io.k8s.api.apps.v1.StatefulSet', group: 'apps', version: 'v1' },
    { definition: 'io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler', group: 'autoscaling', version: 'v2' },
    { definition: 'io.k8s.api.batch.v1.Job', group: 'batch', version: 'v1' },
    { definition: 'io.k8s.api.networking.v1.Ingress', group: 'networking.k8s.io', version: 'v1' },
    { definition: 'io.k8s.api.networking.v1.NetworkPolicy', group: 'networking.k8s.io', version: 'v1' },
    { definition: 'io.k8s.api.policy.v1.PodDisruptionBudget', group: 'policy', version: 'v1' },
  ],
} as const;

function core(kinds: readonly string[]) {
  return kinds.map((kind) => ({ definition: `io.k8s.api.core.v1.${kind}`, group: '', version: 'v1' }));
}

const monitoring = 'example/prometheus-operator-crd/monitoring.coreos.com';

export const operators = [
  {
    module: 'github.com/prometheus-operator/prometheus-operator@v0.85.0',
    files: [
      `${monitoring}_podmonitors.yaml`,
      `${monitoring}_servicemonitors.yaml`,
      `${monitoring}_prometheusrules.yaml`,
    ],
  },
  {
    module: 'github.com/kedacore/keda/v2@v2.18.1',
    files: ['config/crd/bases/keda.sh_scaledobjects.yaml', 'config/crd/bases/keda.sh_triggerauthentications.yaml'],
  },
  {
    module: 'sigs.k8s.io/gateway-api@v1.4.0',
    files: ['config/crd/standard/gateway.networking.k8s.io_httproutes.yaml'],
  },
  {
    module: 'github.com/cloudnative-pg/cloudnative-pg@v1.28.0',
    files: ['config/crd/bases/postgresql.cnpg.io_clusters.yaml'],
  },
] as const;

/** v1 of Strimzi's kinds; older versions of the operator have v1beta2 only. */
export const strimzi = {
  version: '0.49.1',
  group: 'kafka.strimzi.io',
  kinds: {
    Kafka: 'kafka.Kafka',
    KafkaNodePool: 'nodepool.KafkaNodePool',
    KafkaTopic: 'topic.KafkaTopic',
    KafkaUser: 'user.KafkaUser',
  },
} as const;
