import { z } from 'zod';

/** Texts by name: labels, annotations, selectors. */
export const texts = z.record(z.string(), z.string());
/** Parts of Kubernetes' own objects, which its API validates. */
export const kubernetesObject = z.looseObject({});
export const kubernetesList = z.array(kubernetesObject);

const host = z.string().regex(/^(|[a-z0-9.{}-]+)$/, 'a name such as streams.example.org');
const monitor = z.strictObject({ enabled: z.boolean(), labels: texts, interval: z.string().regex(/^[0-9]+(ms|s|m)$/) });
const port = z.int().min(1).max(65_535);

/** Names, images, network access, and settings for Prometheus and Grafana. */
export const openShapes = {
  nameOverride: z.string(),
  fullnameOverride: z.string().max(40),
  commonLabels: texts,
  production: z.boolean(),
  image: z.strictObject({
    registry: z.string(),
    repository: z.string().min(1),
    tag: z.string(),
    pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']),
    pullSecrets: z.array(z.string()),
  }),
  serviceAccount: z.strictObject({ create: z.boolean(), name: z.string(), annotations: texts }),
  hosts: z.strictObject({ streams: host, ingest: host, control: host, dashboard: host, node: host }),
  ingress: z.strictObject({
    enabled: z.boolean(),
    className: z.string(),
    annotations: texts,
    tls: z.strictObject({ enabled: z.boolean(), secretName: z.string() }),
  }),
  httpRoute: z.strictObject({
    enabled: z.boolean(),
    parentRefs: kubernetesList,
    annotations: texts,
    tls: z.boolean(),
    timeouts: z.boolean(),
  }),
  networkPolicy: z.strictObject({
    enabled: z.boolean(),
    publicFrom: kubernetesList,
    metricsFrom: kubernetesList,
    dns: z.strictObject({ to: kubernetesList, ports: z.array(port) }),
    kafkaTo: kubernetesList,
    natsTo: kubernetesList,
    databaseTo: kubernetesList,
    notificationsTo: kubernetesList,
    notificationPorts: z.array(port),
    issuerTo: kubernetesList,
    tracingTo: kubernetesList,
    ingestTo: kubernetesList,
    extraIngress: kubernetesList,
    extraEgress: kubernetesList,
  }),
  metrics: z.strictObject({
    podMonitor: monitor,
    serviceMonitor: monitor,
    prometheusRule: z.strictObject({ enabled: z.boolean(), labels: texts }),
  }),
  dashboards: z.strictObject({ enabled: z.boolean(), labels: texts, annotations: texts }),
  test: z.strictObject({ service: z.string() }),
};
