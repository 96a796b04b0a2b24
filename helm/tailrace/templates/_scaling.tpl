{{/* The PodDisruptionBudget of a service, and its autoscaler. */}}

{{- define "tailrace.scaling" -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
{{- if $section.pdb.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "tailrace.metadata" . | nindent 2 }}
spec:
  # One at a time, also where there is only one: a budget that allows none blocks the drain of a node for ever.
  maxUnavailable: {{ $section.pdb.maxUnavailable }}
  # A pod that is not ready serves no client: it must not block the drain of its node.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "tailrace.selector" . | nindent 6 }}
{{- end }}
{{- if $section.hpa.enabled }}
{{ include "tailrace.hpa" . }}
{{- end }}
{{- if $section.keda.enabled }}
{{ include "tailrace.keda" . }}
{{- end }}
{{- end -}}

{{- define "tailrace.hpa" -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "tailrace.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: {{ .kind }}
    name: {{ include "tailrace.fullname" .root }}-{{ .service }}
  {{- with $section.hpa }}
  minReplicas: {{ .minReplicas }}
  maxReplicas: {{ .maxReplicas }}
  metrics:
    {{- with .cpuPercent }}
    - type: Resource
      resource:
        name: cpu
        target: { type: Utilization, averageUtilization: {{ . }} }
    {{- end }}
    {{- range $name, $value := .podMetrics }}
    - type: Pods
      pods:
        metric: { name: {{ $name }} }
        target: { type: AverageValue, averageValue: {{ include "tailrace.settingText" $value | quote }} }
    {{- end }}
  {{- with .behavior }}
  behavior:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
{{- end -}}

{{/* https://keda.sh/docs/2.18/scalers/apache-kafka/ */}}
{{- define "tailrace.keda" -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
{{- $prefix := dig "topicPrefix" (index (.root.Files.Get "files/settings.json" | fromJson) .service "topicPrefix" | default "") (include "tailrace.settings" . | fromYaml) -}}
{{- $kafka := include "tailrace.kafka" . | fromYaml -}}
{{- $login := or $kafka.tls.enabled $kafka.sasl.mechanism -}}
{{- if not (or .group $section.keda.triggers) -}}
{{- fail (printf "%s.keda.enabled is true, and %s has no consumer lag; expected %s.hpa, or triggers of your own in %s.keda.triggers" .service .service .service .service) -}}
{{- end -}}
---
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  {{- include "tailrace.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    kind: {{ .kind }}
    name: {{ include "tailrace.fullname" .root }}-{{ .service }}
  {{- with $section.keda }}
  minReplicaCount: {{ .minReplicas }}
  maxReplicaCount: {{ .maxReplicas }}
  cooldownPeriod: {{ .cooldownSeconds }}
  {{- end }}
  triggers:
    {{- with .group }}
    - type: kafka
      metadata:
        bootstrapServers: {{ join "," $kafka.brokers | quote }}
        consumerGroup: {{ $prefix }}.{{ . }}
        topic: {{ $prefix }}.telemetry
        lagThreshold: {{ include "tailrace.settingText" $section.keda.lagReports | quote }}
        # A group that has not committed yet is no reason to scale down.
        scaleToZeroOnInvalidOffset: 'false'
        {{- if $kafka.tls.enabled }}
        tls: enable
        {{- end }}
        {{- with $kafka.sasl.mechanism }}
        sasl: {{ get (dict "plain" "plaintext" "scram-sha-256" "scram_sha256" "scram-sha-512" "scram_sha512") . }}
        {{- end }}
      {{- if $login }}
      authenticationRef:
        name: {{ include "tailrace.fullname" $.root }}-{{ $.service }}-kafka
      {{- end }}
    {{- end }}
    {{- with $section.keda.triggers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- if $login }}
---
apiVersion: keda.sh/v1alpha1
kind: TriggerAuthentication
metadata:
  {{- include "tailrace.metadata" (merge (dict "suffix" (printf "%s-kafka" .service)) .) | nindent 2 }}
spec:
  secretTargetRef:
    {{- with $kafka.sasl }}
    {{- if .mechanism }}
    - { parameter: password, name: {{ .existingSecret }}, key: {{ .passwordKey }} }
    {{- if not .username }}
    - { parameter: username, name: {{ .existingSecret }}, key: {{ .usernameKey }} }
    {{- end }}
    {{- end }}
    {{- end }}
    {{- with $kafka.tls }}
    {{- if and .enabled .caSecret }}
    - { parameter: ca, name: {{ .caSecret }}, key: {{ .caKey }} }
    {{- end }}
    {{- if and .enabled .certSecret }}
    - { parameter: cert, name: {{ .certSecret }}, key: {{ .certKey }} }
    - { parameter: key, name: {{ .certSecret }}, key: {{ .keyKey }} }
    {{- end }}
    {{- end }}
{{- end }}
{{- end -}}
