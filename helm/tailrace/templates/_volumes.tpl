{{/* What a service's pod mounts, and where it is placed. */}}

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
- name: key
  secret:
    secretName: {{ include "tailrace.authSecretName" $.root }}
    items:
      - key: {{ $.root.Values.auth.keys.tokenSecret }}
        path: key
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
# The key that tokens are signed with, where the service looks for its own.
- name: key
  mountPath: /data/key
  subPath: key
  readOnly: true
{{- end }}
{{- with $section.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Over zones first, then over hosts, as far as it goes: a pod that runs badly placed is better than one that does not run. */}}
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
