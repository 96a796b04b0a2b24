{{/* The pod of a service: the level "restricted" of the pod security standards, probes, and mounts. */}}

{{- define "tailrace.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "tailrace.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/*
How long a stop of the service may take, s, by its settings: clients are closed and partitions handed over at the same
time, within the larger of drainMs and handoverMs; plus 3 s for the end of the drain, and 5 s for the parts that stop
after it.
*/}}
{{- define "tailrace.stopSeconds" -}}
{{- $known := index (.root.Files.Get "files/settings.json" | fromJson) .service -}}
{{- $settings := include "tailrace.settings" . | fromYaml -}}
{{- $spanMs := 0.0 -}}
{{- range list "drainMs" "handoverMs" -}}
{{- if hasKey $known . -}}
{{- $spanMs = maxf $spanMs (dig . (index $known .) $settings) -}}
{{- end -}}
{{- end -}}
{{- add (ceil (divf $spanMs 1000)) 8 -}}
{{- end -}}

{{/* The grace period of Kubernetes: the stop and 10 s, for a busy machine. */}}
{{- define "tailrace.graceSeconds" -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
{{- $section.terminationGracePeriodSeconds | default (add (include "tailrace.stopSeconds" . | int) 10) -}}
{{- end -}}

{{- define "tailrace.podTemplate" -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
metadata:
  labels:
    {{- include "tailrace.selector" . | nindent 4 }}
    {{- with .root.Values.commonLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with $section.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/config: {{ include "tailrace.configData" . | sha256sum }}
    {{- with include "tailrace.ownSecretData" .root }}
    checksum/secret: {{ . | sha256sum }}
    {{- end }}
    kubectl.kubernetes.io/default-container: {{ .service }}
    {{- with $section.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "tailrace.podSpec" . | nindent 2 }}
{{- end -}}

{{- define "tailrace.podSpec" -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
serviceAccountName: {{ include "tailrace.serviceAccountName" .root }}
automountServiceAccountToken: false
# Kubernetes would set TAILRACE_..._PORT for each Service tailrace-…, which the services refuse as unknown settings.
enableServiceLinks: false
terminationGracePeriodSeconds: {{ include "tailrace.graceSeconds" . }}
securityContext:
  {{- include "tailrace.podSecurity" . | nindent 2 }}
  {{- with $section.sysctls }}
  sysctls:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- if eq (include "tailrace.signsToken" .) "true" }}
initContainers:
  - name: token
    {{- include "tailrace.tokenContainer" . | nindent 4 }}
{{- end }}
containers:
  - name: {{ .service }}
    {{- include "tailrace.container" . | nindent 4 }}
{{- with include "tailrace.volumes" . | trim }}
volumes:
  {{- . | nindent 2 }}
{{- end }}
{{- include "tailrace.placement" . }}
{{- end -}}

{{- define "tailrace.container" -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
image: {{ include "tailrace.image" . }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
ports:
  {{- range $role, $port := include "tailrace.allPorts" . | fromJson }}
  - name: {{ $role }}
    containerPort: {{ $port }}
  {{- end }}
  - name: internal
    containerPort: 9090
envFrom:
  - configMapRef:
      name: {{ include "tailrace.fullname" .root }}-{{ .service }}
env:
  {{- include "tailrace.env" . | nindent 2 }}
securityContext:
  {{- include "tailrace.containerSecurity" . | nindent 2 }}
resources:
  {{- toYaml $section.resources | nindent 2 }}
# A node that recovers from a long log is alive long before it is ready: only /livez decides whether it is restarted,
# and only after it has answered once.
startupProbe:
  httpGet: { path: /livez, port: internal }
  periodSeconds: 1
  failureThreshold: {{ $section.startupSeconds }}
livenessProbe:
  httpGet: { path: /livez, port: internal }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: { path: /readyz, port: internal }
  periodSeconds: 1
  timeoutSeconds: 2
  failureThreshold: 3
{{- with include "tailrace.volumeMounts" . | trim }}
volumeMounts:
  {{- . | nindent 2 }}
{{- end }}
{{- end -}}
