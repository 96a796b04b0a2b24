{{/* Names and labels of objects. */}}

{{/*
The release's name where it contains the chart's, else <release>-tailrace. At most 40 characters: names of pods are
longer, and a label has at most 63.
*/}}
{{- define "tailrace.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels that never change, for selectors. Takes a dict: root, service (may be left out). */}}
{{- define "tailrace.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .service }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "tailrace.labels" -}}
{{ include "tailrace.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: tailrace
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Metadata of an object. Takes a dict: root, service, suffix (default: service), labels, annotations. */}}
{{- define "tailrace.metadata" -}}
name: {{ include "tailrace.fullname" .root }}{{ with (default .service .suffix) }}-{{ . }}{{ end }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "tailrace.labels" . | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The image of a service: its own, or <registry>/<repository>/<service>:<tag>. */}}
{{- define "tailrace.image" -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
{{- with .root.Values.image -}}
{{- $path := printf "%s/%s:%s" .repository $.service (default $.root.Chart.AppVersion .tag) -}}
{{- default (ternary (printf "%s/%s" .registry $path) $path (ne .registry "")) $section.image -}}
{{- end -}}
{{- end -}}

{{- define "tailrace.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "tailrace.fullname" .) -}}
{{- end -}}

{{/*
A service's values: `defaults`, overridden by its section. enabled: null: it is on where standalone is off, and control
only with a database: what has been installed without one works as before.
*/}}
{{- define "tailrace.section" -}}
{{- $section := mustMergeOverwrite (deepCopy .root.Values.defaults) (deepCopy (index .root.Values .service)) -}}
{{- if kindIs "invalid" $section.enabled -}}
{{- $isPossible := or (ne .service "control") (ne .root.Values.database.existingSecret "") -}}
{{- $_ := set $section "enabled" (and (not .root.Values.standalone.enabled) $isPossible) -}}
{{- end -}}
{{- toYaml $section -}}
{{- end -}}

{{/* The ports of a service by role, as JSON; with TLS and MQTT more, whose roles no name under `hosts` has. */}}
{{- define "tailrace.allPorts" -}}
{{- $ports := deepCopy (default dict .ports) -}}
{{- with (include "tailrace.section" . | fromYaml).tls -}}
{{- if .enabled -}}
{{- $_ := set $ports (printf "%s-tls" $.service) 8443 -}}
{{- end -}}
{{- end -}}
{{- with (include "tailrace.section" . | fromYaml).mqtt -}}
{{- if .enabled -}}
{{- $hasTls := eq (include "tailrace.hasDeviceTls" $) "true" -}}
{{- $_ := set $ports (ternary "mqtt-tls" "mqtt" $hasTls) (ternary 8883 1883 $hasTls) -}}
{{- end -}}
{{- end -}}
{{- toJson $ports -}}
{{- end -}}

{{/* "true" if ingest itself serves TLS for devices. */}}
{{- define "tailrace.hasDeviceTls" -}}
{{- with (include "tailrace.section" . | fromYaml).tls -}}{{- .enabled -}}{{- end -}}
{{- end -}}

{{/* Kafka as a service reaches it: `kafka`, overridden by its own section, such as by a login of its own. */}}
{{- define "tailrace.kafka" -}}
{{- $own := (include "tailrace.section" . | fromYaml).kafka -}}
{{- mustMergeOverwrite (deepCopy .root.Values.kafka) (default dict $own) | toYaml -}}
{{- end -}}

{{/* Names of the enabled services, as JSON. `make generate` writes the table from the schemas of the services. */}}
{{- define "tailrace.enabledServices" -}}
{{- $names := list -}}
{{- range $service, $_ := .Files.Get "files/settings.json" | fromJson -}}
{{- if (include "tailrace.section" (dict "root" $ "service" $service) | fromYaml).enabled -}}
{{- $names = append $names $service -}}
{{- end -}}
{{- end -}}
{{- dict "services" $names | toJson -}}
{{- end -}}
