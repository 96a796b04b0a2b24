{{/* Volumes and placement of a service's pod. */}}

{{- define "tailrace.volumes" -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
{{- range (include "tailrace.secretFiles" . | fromJson).mounts }}
- name: {{ .name }}
  secret:
    secretName: {{ .secret }}
    items:
      {{- range $key, $file := .items }}
      - key: {{ $key }}
        path: {{ $file }}
      {{- end }}
{{- end }}
{{- if eq (include "tailrace.signsToken" .) "true" }}
- name: token
  emptyDir:
    medium: Memory
    sizeLimit: 1Mi
{{- end }}
{{- with $section.persistence }}
{{- if eq $.service "standalone" }}
- name: key
  secret:
    secretName: {{ include "tailrace.authSecretName" $.root }}
    items:
      - key: {{ $.root.Values.auth.keys.tokenSecret }}
        path: key
{{- end }}
{{- if not .enabled }}
- name: data
  emptyDir:
    sizeLimit: {{ .size }}
{{- end }}
{{- end }}
{{- with $section.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "tailrace.volumeMounts" -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
{{- range (include "tailrace.secretFiles" . | fromJson).mounts }}
- name: {{ .name }}
  mountPath: /etc/tailrace/{{ .name }}
  readOnly: true
{{- end }}
{{- if eq (include "tailrace.signsToken" .) "true" }}
- name: token
  mountPath: /run/tailrace
  readOnly: true
{{- end }}
{{- if $section.persistence }}
- name: data
  mountPath: /data
{{- if eq .service "standalone" }}
# The key that signs tokens, in place of the one that the service would create.
- name: key
  mountPath: /data/key
  subPath: key
  readOnly: true
{{- end }}
{{- end }}
{{- with $section.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Spread over zones, then over hosts. By default a pod that cannot be placed so still runs. */}}
{{- define "tailrace.placement" -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
{{- if $section.topologySpread.enabled }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: {{ $section.topologySpread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "tailrace.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- range $key := list "nodeSelector" "tolerations" "affinity" }}
{{- with index $section $key }}
{{ $key }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with $section.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}
