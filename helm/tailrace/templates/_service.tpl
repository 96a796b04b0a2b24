{{/*
All objects of a service. The template of a service is one call of this:

  {{ include "tailrace.service" (dict "root" $ "service" "ingest" "kind" "Deployment" "ports" (dict "ingest" 8082)) }}

root      the chart's own context
service   the section of the values, the name of the image and of the component
kind      StatefulSet or Deployment
ports     by the role under which `hosts` names them; left out: it accepts no connections
replicas  where the values have null; default 1
group     the consumer group whose lag KEDA scales by, without the topics' prefix; left out: none
nodes     role whose port is reachable pod by pod from outside; left out: none
*/}}
{{- define "tailrace.service" -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
{{- if $section.enabled }}
---
{{ include "tailrace.configMap" . }}
---
{{ include "tailrace.workload" . }}
{{ include "tailrace.services" . }}
{{ include "tailrace.scaling" . }}
{{ include "tailrace.networkPolicy" . }}
{{ include "tailrace.routes" . }}
{{- end }}
{{- end -}}
