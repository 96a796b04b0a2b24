{{/*
Migrates the database of control before an installation or upgrade: a Job of the image that is about to run. A hook is
created before all other objects of the release, so that it can use no ConfigMap and no ServiceAccount of it.
*/}}

{{- define "tailrace.migration" -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
{{- $database := .root.Values.database -}}
{{- if and $section.enabled $database.migrationJob.enabled }}
{{- $migration := dict "root" .root "service" "control-migration" }}
{{- if .root.Values.networkPolicy.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "tailrace.metadata" (merge (dict "annotations" (include "tailrace.hook" "-2" | fromYaml)) $migration) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "tailrace.selector" $migration | nindent 6 }}
  policyTypes: [Ingress, Egress]
  egress:
    {{- include "tailrace.dnsEgress" . | nindent 4 }}
    {{- include "tailrace.databaseEgress" . | nindent 4 }}
{{- end }}
---
apiVersion: batch/v1
kind: Job
metadata:
  {{- include "tailrace.metadata" (merge (dict "annotations" (include "tailrace.hook" "-1" | fromYaml)) $migration) | nindent 2 }}
spec:
  # A database that is not reachable yet is tried again, after 10 s, 20 s, 40 s …
  backoffLimit: 5
  activeDeadlineSeconds: {{ $database.migrationJob.deadlineSeconds }}
  # Helm deletes one that has succeeded. One that has failed is no object of the release: Kubernetes deletes it, so that
  # nothing is left after an uninstall.
  ttlSecondsAfterFinished: {{ $database.migrationJob.keepSeconds }}
  template:
    metadata:
      labels:
        {{- include "tailrace.selector" $migration | nindent 8 }}
        {{- with .root.Values.commonLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      restartPolicy: Never
      {{- if not .root.Values.serviceAccount.create }}
      serviceAccountName: {{ include "tailrace.serviceAccountName" .root }}
      {{- end }}
      automountServiceAccountToken: false
      enableServiceLinks: false
      securityContext:
        {{- include "tailrace.podSecurity" . | nindent 8 }}
      {{- with .root.Values.image.pullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      containers:
        - name: migration
          image: {{ include "tailrace.image" . }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args: [migrate]
          env:
            {{- range $key, $value := include "tailrace.databaseSettings" . | fromYaml }}
            - name: {{ include "tailrace.variable" $key }}
              value: {{ include "tailrace.settingText" $value | quote }}
            {{- end }}
            {{- include "tailrace.databaseEnv" . | nindent 12 }}
            {{- with $section.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          securityContext:
            {{- include "tailrace.containerSecurity" . | nindent 12 }}
          resources:
            {{- toYaml $section.resources | nindent 12 }}
          {{- with include "tailrace.databaseMounts" . | trim }}
          volumeMounts:
            {{- . | nindent 12 }}
          {{- end }}
      {{- with include "tailrace.databaseVolumes" . | trim }}
      volumes:
        {{- . | nindent 8 }}
      {{- end }}
      {{- range $key := list "nodeSelector" "tolerations" }}
      {{- with index $section $key }}
      {{ $key }}:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- end }}
{{- end }}
{{- end -}}

{{/* Annotations of an object that exists from before an installation or upgrade until it has succeeded. */}}
{{- define "tailrace.hook" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}

{{- define "tailrace.databaseMounts" -}}
{{- range (include "tailrace.secretFiles" . | fromJson).mounts }}
{{- if hasPrefix "database-" .name }}
- name: {{ .name }}
  mountPath: /etc/tailrace/{{ .name }}
  readOnly: true
{{- end }}
{{- end }}
{{- end -}}

{{- define "tailrace.databaseVolumes" -}}
{{- range (include "tailrace.secretFiles" . | fromJson).mounts }}
{{- if hasPrefix "database-" .name }}
- name: {{ .name }}
  secret:
    secretName: {{ .secret }}
    items:
      {{- range $key, $file := .items }}
      - key: {{ $key }}
        path: {{ $file }}
      {{- end }}
{{- end }}
{{- end }}
{{- end -}}
