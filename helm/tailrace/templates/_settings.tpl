{{/* Settings of a service: environment variables in a ConfigMap, with a checksum in the pod's annotations. */}}

{{/* tokenJwksUrl → TAILRACE_TOKEN_JWKS_URL, as the services derive it. */}}
{{- define "tailrace.variable" -}}
TAILRACE_{{ regexReplaceAll "([a-z0-9])([A-Z])" . "${1}_${2}" | upper }}
{{- end -}}

{{/* A value as text: a list joined by commas, a large number without an exponent (Helm's numbers are floats). */}}
{{- define "tailrace.settingText" -}}
{{- if kindIs "slice" . -}}
{{- join "," . -}}
{{- else if and (kindIs "float64" .) (eq . (floor .)) -}}
{{- printf "%.0f" . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{/*
All settings of a service, by key, as YAML; later wins: those that the chart sets (brokers, addresses), those for all
services, its own. Keys that are not in files/settings.json for the service are left out.
*/}}
{{- define "tailrace.settings" -}}
{{- $values := .root.Values -}}
{{- $known := index (.root.Files.Get "files/settings.json" | fromJson) .service -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
{{- $wanted := mustMergeOverwrite (include "tailrace.chartSettings" . | fromYaml) (deepCopy $values.config) -}}
{{- $settings := dict -}}
{{- range $key, $value := $wanted -}}
{{- if hasKey $known $key -}}
{{- $_ := set $settings $key $value -}}
{{- end -}}
{{- end -}}
{{- mustMergeOverwrite $settings $section.config | toYaml -}}
{{- end -}}

{{/* Settings that the chart sets; a service gets those of them that it has. */}}
{{- define "tailrace.chartSettings" -}}
{{- $fullname := include "tailrace.fullname" .root -}}
{{- $secure := eq (include "tailrace.hostsSecure" .root) "true" -}}
{{- $kafka := include "tailrace.kafka" . | fromYaml -}}
{{- with .root.Values -}}
internalHost: 0.0.0.0
internalPort: 9090
host: 0.0.0.0
# Longer than kube-proxy takes to remove a terminating pod from its Services.
leaveMs: 3000
{{- if eq $.service "standalone" }}
portBase: 8080
dataDir: /data
{{- end }}
{{- if eq (len (default dict $.ports)) 1 }}
port: {{ first (values $.ports) }}
{{- end }}
kafkaBrokers: {{ toJson $kafka.brokers }}
{{- with $kafka.tls }}
{{- if .enabled }}
kafkaTls: true
{{- if .caSecret }}
kafkaTlsCaFile: /etc/tailrace/kafka-ca/ca.crt
{{- end }}
{{- if .certSecret }}
kafkaTlsCertFile: /etc/tailrace/kafka-cert/tls.crt
kafkaTlsKeyFile: /etc/tailrace/kafka-cert/tls.key
{{- end }}
{{- end }}
{{- end }}
{{- with $kafka.sasl }}
{{- if .mechanism }}
kafkaSaslMechanism: {{ .mechanism }}
{{- if .username }}
kafkaSaslUsername: {{ .username | quote }}
{{- end }}
{{- end }}
{{- end }}
natsServers: {{ toJson .nats.servers }}
{{- with .nats.tls }}
{{- if .enabled }}
natsTls: true
{{- if .caSecret }}
natsTlsCaFile: /etc/tailrace/nats-ca/ca.crt
{{- end }}
{{- if .certSecret }}
natsTlsCertFile: /etc/tailrace/nats-cert/tls.crt
natsTlsKeyFile: /etc/tailrace/nats-cert/tls.key
{{- end }}
{{- end }}
{{- end }}
{{- with .nats.auth }}
{{- if .credentialsKey }}
natsCredentialsFile: /etc/tailrace/nats-credentials/nats.creds
{{- end }}
{{- end }}
{{- include "tailrace.databaseSettings" $ }}
{{- with (include "tailrace.section" $ | fromYaml).tls }}
{{- if .enabled }}
tlsPort: 8443
tlsCertFile: /etc/tailrace/device-tls/tls.crt
tlsKeyFile: /etc/tailrace/device-tls/tls.key
{{- if .clientCaSecret }}
tlsClientCaFile: /etc/tailrace/device-ca/ca.crt
{{- end }}
{{- if .clientCrlSecret }}
tlsClientCrlFile: /etc/tailrace/device-crl/ca.crl
{{- end }}
{{- end }}
{{- end }}
{{- with (include "tailrace.section" $ | fromYaml).mqtt }}
{{- if .enabled }}
mqttEnabled: true
mqttPort: 1883
mqttTlsPort: 8883
mqttPlain: {{ ne (include "tailrace.hasDeviceTls" $) "true" }}
{{- end }}
{{- end }}
ingestUrl: http://{{ $fullname }}-ingest:8082
{{- with .hosts.streams }}
streamUrl: {{ ternary "wss" "ws" $secure }}://{{ . }}
{{- end }}
{{- with .hosts.ingest }}
publicIngestUrl: {{ ternary "https" "http" $secure }}://{{ . }}
{{- end }}
{{- if or .standalone.enabled (include "tailrace.section" (dict "root" $.root "service" "control") | fromYaml).enabled }}
{{- with .hosts.control }}
controlUrl: {{ ternary "https" "http" $secure }}://{{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* How to connect to the database; its address and login are in the environment. */}}
{{- define "tailrace.databaseSettings" -}}
{{- with .root.Values.database.tls }}
{{- if .enabled }}
databaseTls: true
{{- if .caSecret }}
databaseTlsCaFile: /etc/tailrace/database-ca/ca.crt
{{- end }}
{{- if .certSecret }}
databaseTlsCertFile: /etc/tailrace/database-cert/tls.crt
databaseTlsKeyFile: /etc/tailrace/database-cert/tls.key
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The ConfigMap's data. */}}
{{- define "tailrace.configData" -}}
{{- range $key, $value := include "tailrace.settings" . | fromYaml }}
{{ include "tailrace.variable" $key }}: {{ include "tailrace.settingText" $value | quote }}
{{- end }}
{{- end -}}

{{- define "tailrace.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  {{- include "tailrace.metadata" . | nindent 2 }}
data:
  {{- include "tailrace.configData" . | trim | nindent 2 }}
{{- end -}}
