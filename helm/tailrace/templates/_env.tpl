{{/* References to Secrets: environment variables, and certificates as files. */}}

{{- define "tailrace.authSecretName" -}}
{{- .Values.auth.existingSecret | default (printf "%s-auth" (include "tailrace.fullname" .)) -}}
{{- end -}}

{{/* One variable from a key of a Secret. Takes a dict: name, secret, key. */}}
{{- define "tailrace.secretVariable" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
{{- end -}}

{{/*
Where clients reach the pod itself; {node} is its name. Inside the cluster by the headless Service. Empty where there is
a name for all nodes and none for each: clients are never sent to an address that they cannot reach.
*/}}
{{- define "tailrace.publicUrl" -}}
{{- $url := (include "tailrace.section" . | fromYaml).publicUrl -}}
{{- $hosts := .root.Values.hosts -}}
{{- if not $url -}}
{{- if ne (include "tailrace.routed" .root) "true" -}}
{{- $url = printf "ws://{node}.%s-%s-nodes.%s.svc:8081" (include "tailrace.fullname" .root) .service .root.Release.Namespace -}}
{{- else if $hosts.node -}}
{{- $url = printf "%s://%s" (ternary "wss" "ws" (eq (include "tailrace.hostsSecure" .root) "true")) $hosts.node -}}
{{- end -}}
{{- end -}}
{{- default "" $url | replace "{node}" "$(TAILRACE_NODE)" -}}
{{- end -}}

{{/* The environment of a service's container, apart from its ConfigMap. Later variables may refer to earlier ones. */}}
{{- define "tailrace.env" -}}
{{- $known := index (.root.Files.Get "files/settings.json" | fromJson) .service -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
{{- $values := .root.Values -}}
- name: TAILRACE_NODE
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
{{- if hasKey $known "publicUrl" }}
{{- with include "tailrace.publicUrl" . }}
- name: TAILRACE_PUBLIC_URL
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- if hasKey $known "tokenSecret" }}
{{- with $values.auth.keys.tokenSecret }}
{{ include "tailrace.secretVariable" (dict "name" "TAILRACE_TOKEN_SECRET" "secret" (include "tailrace.authSecretName" $.root) "key" .) }}
{{- end }}
{{- with $values.auth.keys.tokenPublicKeys }}
{{ include "tailrace.secretVariable" (dict "name" "TAILRACE_TOKEN_PUBLIC_KEYS" "secret" (include "tailrace.authSecretName" $.root) "key" .) }}
{{- end }}
{{- end }}
{{- $kafka := include "tailrace.kafka" . | fromYaml }}
{{- if and (hasKey $known "kafkaBrokers") $kafka.sasl.mechanism }}
{{- with $kafka.sasl }}
{{- if not .username }}
{{ include "tailrace.secretVariable" (dict "name" "TAILRACE_KAFKA_SASL_USERNAME" "secret" .existingSecret "key" .usernameKey) }}
{{- end }}
{{ include "tailrace.secretVariable" (dict "name" "TAILRACE_KAFKA_SASL_PASSWORD" "secret" .existingSecret "key" .passwordKey) }}
{{- end }}
{{- end }}
{{- if hasKey $known "natsServers" }}
{{- with $values.nats.auth }}
{{- if .passwordKey }}
{{ include "tailrace.secretVariable" (dict "name" "TAILRACE_NATS_USERNAME" "secret" .existingSecret "key" .usernameKey) }}
{{ include "tailrace.secretVariable" (dict "name" "TAILRACE_NATS_PASSWORD" "secret" .existingSecret "key" .passwordKey) }}
{{- end }}
{{- end }}
{{- end }}
{{- if hasKey $known "databaseUrl" }}
{{ include "tailrace.databaseEnv" . }}
{{- end }}
{{- with .token }}
{{- if $section.token.secretKey }}
{{ include "tailrace.secretVariable" (dict "name" (include "tailrace.variable" .setting) "secret" (include "tailrace.authSecretName" $.root) "key" $section.token.secretKey) }}
{{- else if $section.token.sign }}
- name: TAILRACE_CONFIG
  value: /run/tailrace/token.json
{{- end }}
{{- end }}
{{- with $section.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Where the database is, and its login. */}}
{{- define "tailrace.databaseEnv" -}}
{{- with .root.Values.database -}}
{{ include "tailrace.secretVariable" (dict "name" "TAILRACE_DATABASE_URL" "secret" .existingSecret "key" .urlKey) }}
{{- if .passwordKey }}
{{ include "tailrace.secretVariable" (dict "name" "TAILRACE_DATABASE_PASSWORD" "secret" .existingSecret "key" .passwordKey) }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Certificates and the like that a service mounts, as JSON: {"mounts": [{name, secret, items: {key: file}}]}. */}}
{{- define "tailrace.secretFiles" -}}
{{- $known := index (.root.Files.Get "files/settings.json" | fromJson) .service -}}
{{- $mounts := list -}}
{{- $brokers := dict "kafka" (include "tailrace.kafka" . | fromYaml) "nats" .root.Values.nats "database" .root.Values.database -}}
{{- range $broker, $key := dict "kafka" "kafkaBrokers" "nats" "natsServers" "database" "databaseUrl" -}}
{{- $tls := (get $brokers $broker).tls -}}
{{- if and (hasKey $known $key) $tls.enabled -}}
{{- with $tls.caSecret -}}
{{- $mounts = append $mounts (dict "name" (printf "%s-ca" $broker) "secret" . "items" (dict $tls.caKey "ca.crt")) -}}
{{- end -}}
{{- with $tls.certSecret -}}
{{- $mounts = append $mounts (dict "name" (printf "%s-cert" $broker) "secret" . "items" (dict $tls.certKey "tls.crt" $tls.keyKey "tls.key")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with (include "tailrace.section" . | fromYaml).tls -}}
{{- if .enabled -}}
{{- $mounts = append $mounts (dict "name" "device-tls" "secret" .certSecret "items" (dict .certKey "tls.crt" .keyKey "tls.key")) -}}
{{- with .clientCaSecret -}}
{{- $mounts = append $mounts (dict "name" "device-ca" "secret" . "items" (dict $.root.Values.ingest.tls.clientCaKey "ca.crt")) -}}
{{- end -}}
{{- with .clientCrlSecret -}}
{{- $mounts = append $mounts (dict "name" "device-crl" "secret" . "items" (dict $.root.Values.ingest.tls.clientCrlKey "ca.crl")) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .root.Values.nats.auth -}}
{{- if and (hasKey $known "natsServers") .credentialsKey -}}
{{- $mounts = append $mounts (dict "name" "nats-credentials" "secret" .existingSecret "items" (dict .credentialsKey "nats.creds")) -}}
{{- end -}}
{{- end -}}
{{- dict "mounts" $mounts | toJson -}}
{{- end -}}
