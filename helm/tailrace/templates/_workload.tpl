{{/* The StatefulSet or Deployment of a service, and the Services in front of it. */}}

{{/* Whether an autoscaler sets the number of replicas: then it is left out, or each upgrade would reset it. */}}
{{- define "tailrace.scaled" -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
{{- or $section.hpa.enabled $section.keda.enabled -}}
{{- end -}}

{{/*
The current number of replicas, where an upgrade must keep stating it although an autoscaler sets it; else nothing. If a
release that had a number removed it, Helm would remove the field, and Kubernetes would run one pod for a moment. So the
current number is stated, and an annotation keeps it stated. A release that was autoscaled from its first day has none.
*/}}
{{- define "tailrace.keptReplicas" -}}
{{- $name := printf "%s-%s" (include "tailrace.fullname" .root) .service -}}
{{- $live := lookup "apps/v1" .kind .root.Release.Namespace $name -}}
{{- if $live -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
{{- $scaler := ternary (list "autoscaling/v2" "HorizontalPodAutoscaler") (list "keda.sh/v1alpha1" "ScaledObject") $section.hpa.enabled -}}
{{- $annotated := dig "metadata" "annotations" "tailrace/replicas" "" $live -}}
{{- if or $annotated (not (lookup (first $scaler) (last $scaler) .root.Release.Namespace $name)) -}}
{{- $live.spec.replicas -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "tailrace.workload" -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
{{- $stateful := eq .kind "StatefulSet" -}}
{{- $scaled := eq (include "tailrace.scaled" .) "true" -}}
{{- $kept := "" -}}
{{- if $scaled -}}
{{- $kept = include "tailrace.keptReplicas" . -}}
{{- end -}}
apiVersion: apps/v1
kind: {{ .kind }}
metadata:
  {{- include "tailrace.metadata" (merge (dict "annotations" (ternary (dict "tailrace/replicas" "kept") dict (ne $kept ""))) .) | nindent 2 }}
spec:
  {{- if $scaled }}
  {{- with $kept }}
  replicas: {{ . }}
  {{- end }}
  {{- else }}
  replicas: {{ include "tailrace.replicas" . }}
  {{- end }}
  revisionHistoryLimit: 5
  {{- if $section.minReadySeconds }}
  minReadySeconds: {{ $section.minReadySeconds }}
  {{- end }}
  selector:
    matchLabels:
      {{- include "tailrace.selector" . | nindent 6 }}
  {{- if $stateful }}
  serviceName: {{ include "tailrace.fullname" .root }}-{{ .service }}-nodes
  # Nodes do not wait for each other to start. A rollout still replaces one at a time.
  podManagementPolicy: Parallel
  updateStrategy:
    type: RollingUpdate
  {{- else }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  {{- end }}
  template:
    {{- include "tailrace.podTemplate" . | nindent 4 }}
  {{- if and $stateful $section.persistence }}
  {{- with $section.persistence }}
  {{- if .enabled }}
  persistentVolumeClaimRetentionPolicy:
    whenDeleted: {{ .whenDeleted }}
    whenScaled: Retain
  volumeClaimTemplates:
    - apiVersion: v1
      kind: PersistentVolumeClaim
      metadata:
        name: data
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .storageClassName }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests:
            storage: {{ .size }}
  {{- end }}
  {{- end }}
  {{- end }}
{{- end -}}

{{/* The number of replicas without an autoscaler. */}}
{{- define "tailrace.replicas" -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
{{- if kindIs "invalid" $section.replicas -}}{{ .replicas | default 1 }}{{- else -}}{{ $section.replicas }}{{- end -}}
{{- end -}}

{{/* The largest possible number of replicas. */}}
{{- define "tailrace.replicasMax" -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
{{- if $section.hpa.enabled -}}{{ $section.hpa.maxReplicas }}
{{- else if $section.keda.enabled -}}{{ $section.keda.maxReplicas }}
{{- else -}}{{ include "tailrace.replicas" . }}{{- end -}}
{{- end -}}

{{- define "tailrace.services" -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
{{- if .ports }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "tailrace.metadata" (merge (dict "annotations" $section.service.annotations) .) | nindent 2 }}
spec:
  type: {{ $section.service.type }}
  selector:
    {{- include "tailrace.selector" . | nindent 4 }}
  ports:
    {{- include "tailrace.servicePorts" . | trim | nindent 4 }}
{{- end }}
{{- if and .ports (eq .kind "StatefulSet") }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "tailrace.metadata" (merge (dict "suffix" (printf "%s-nodes" .service)) .) | nindent 2 }}
spec:
  clusterIP: None
  # A draining node still has clients, and other nodes still have its address.
  publishNotReadyAddresses: true
  selector:
    {{- include "tailrace.selector" . | nindent 4 }}
  ports:
    {{- include "tailrace.servicePorts" . | trim | nindent 4 }}
{{- end }}
{{- end -}}

{{- define "tailrace.servicePorts" -}}
{{- range $role, $port := include "tailrace.allPorts" . | fromJson }}
- name: {{ $role }}
  port: {{ $port }}
  targetPort: {{ $role }}
{{- end }}
{{- end -}}
