{{/* Allowed connections to and from a service's pods. All others are refused. */}}

{{- define "tailrace.networkPolicy" -}}
{{- if .root.Values.networkPolicy.enabled }}
{{- $policy := .root.Values.networkPolicy }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "tailrace.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "tailrace.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    {{- range $role, $port := include "tailrace.allPorts" . | fromJson }}
    - ports:
        - { protocol: TCP, port: {{ $port }} }
      {{- with $policy.publicFrom }}
      from:
        {{- toYaml . | nindent 8 }}
        # The chart's own pods: the simulator, the test.
        - podSelector:
            matchLabels:
              {{- include "tailrace.selector" (dict "root" $.root) | nindent 14 }}
      {{- end }}
    {{- end }}
    # Health and metrics. The kubelet's probes come from the pod's own node, which no policy blocks.
    {{- with $policy.metricsFrom }}
    - ports:
        - { protocol: TCP, port: 9090 }
      from:
        {{- toYaml . | nindent 8 }}
    {{- end }}
    {{- with $policy.extraIngress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  egress:
    {{- include "tailrace.egress" . | trim | nindent 4 }}
{{- end }}
{{- end -}}

{{/* The ports come from the addresses in the settings of the service. */}}
{{- define "tailrace.egress" -}}
{{- $policy := .root.Values.networkPolicy -}}
{{- $known := index (.root.Files.Get "files/settings.json" | fromJson) .service -}}
{{- $settings := include "tailrace.settings" . | fromYaml -}}
{{ include "tailrace.dnsEgress" . }}
{{- range $way := list (list "kafkaBrokers" "9092" "kafkaTo") (list "natsServers" "4222" "natsTo") (list "tokenJwksUrl" "" "issuerTo") (list "tracingUrl" "" "tracingTo") (list "ingestUrl" "" "ingestTo") }}
{{- $addresses := get $settings (index $way 0) }}
{{- if and $addresses (hasKey $known (index $way 0)) }}
{{- $ports := list }}
{{- range $address := ternary $addresses (list $addresses) (kindIs "slice" $addresses) }}
{{- $ports = append $ports (include "tailrace.portOf" (list $address (index $way 1))) }}
{{- end }}
- ports:
    {{- range $ports | uniq }}
    - { protocol: TCP, port: {{ . }} }
    {{- end }}
  {{- with get $policy (index $way 2) }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
{{- if hasKey $known "databaseUrl" }}
{{ include "tailrace.databaseEgress" . }}
{{- end }}
{{- if eq .service "control" }}
{{- with $policy.notificationsTo }}
- ports:
    {{- range $policy.notificationPorts }}
    - { protocol: TCP, port: {{ . }} }
    {{- end }}
  to:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}
{{- with $policy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "tailrace.dnsEgress" -}}
{{- with .root.Values.networkPolicy.dns -}}
- ports:
    {{- range .ports }}
    - { protocol: UDP, port: {{ . }} }
    - { protocol: TCP, port: {{ . }} }
    {{- end }}
  {{- with .to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "tailrace.databaseEgress" -}}
- ports:
    - { protocol: TCP, port: {{ .root.Values.database.port }} }
  {{- with .root.Values.networkPolicy.databaseTo }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* The port of host:port or of a URL; otherwise the second argument, or the default of the scheme. */}}
{{- define "tailrace.portOf" -}}
{{- $host := regexReplaceAll "^[a-z]+://([^/]*).*$" (first .) "${1}" -}}
{{- if regexMatch ":[0-9]+$" $host -}}
{{- regexFind "[0-9]+$" $host -}}
{{- else -}}
{{- $ports := dict "https" "443" "wss" "443" "mqtt" "1883" "mqtts" "8883" -}}
{{- last . | default (get $ports (first (splitList ":" (first .)))) | default "80" -}}
{{- end -}}
{{- end -}}
