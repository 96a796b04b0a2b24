{{/* Ways in from outside: an Ingress or HTTPRoutes for the names under `hosts`, and for each node its own, which `moved` sends clients to. */}}

{{- define "tailrace.routed" -}}
{{- or .Values.ingress.enabled .Values.httpRoute.enabled -}}
{{- end -}}

{{/* Whether the way in is over TLS. */}}
{{- define "tailrace.hostsSecure" -}}
{{- or (and .Values.ingress.enabled .Values.ingress.tls.enabled) (and .Values.httpRoute.enabled .Values.httpRoute.tls) -}}
{{- end -}}

{{/* Every name of a service, with the Service and port behind it, as JSON: {"ways": [{host, backend, port, role}]}. */}}
{{- define "tailrace.ways" -}}
{{- $ways := list -}}
{{- $fullname := printf "%s-%s" (include "tailrace.fullname" .root) .service -}}
{{- $hosts := .root.Values.hosts -}}
{{- range $role, $port := .ports -}}
{{- with get $hosts $role -}}
{{- $ways = append $ways (dict "host" . "backend" $fullname "port" $port "role" $role) -}}
{{- end -}}
{{- end -}}
{{- if eq (include "tailrace.hasNodeServices" .) "true" -}}
{{- range $ordinal := until (include "tailrace.replicasMax" . | int) -}}
{{- $node := printf "%s-%d" $fullname $ordinal -}}
{{- $ways = append $ways (dict "host" ($hosts.node | replace "{node}" $node) "backend" $node "port" (get $.ports $.nodes) "role" $.nodes) -}}
{{- end -}}
{{- end -}}
{{- dict "ways" $ways | toJson -}}
{{- end -}}

{{- define "tailrace.hasNodeServices" -}}
{{- if .nodes -}}
{{- and .root.Values.hosts.node (eq (include "tailrace.routed" .root) "true") | not | not -}}
{{- end -}}
{{- end -}}

{{- define "tailrace.routes" -}}
{{- if eq (include "tailrace.hasNodeServices" .) "true" }}
{{- range $ordinal := until (include "tailrace.replicasMax" . | int) }}
{{- $suffix := printf "%s-%d" $.service $ordinal }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "tailrace.metadata" (merge (dict "suffix" $suffix) $) | nindent 2 }}
spec:
  # A node that drains tells its own clients itself where to go.
  publishNotReadyAddresses: true
  selector:
    {{- include "tailrace.selector" $ | nindent 4 }}
    statefulset.kubernetes.io/pod-name: {{ include "tailrace.fullname" $.root }}-{{ $suffix }}
  ports:
    - name: {{ $.nodes }}
      port: {{ get $.ports $.nodes }}
      targetPort: {{ $.nodes }}
{{- end }}
{{- end }}
{{- $ways := (include "tailrace.ways" . | fromJson).ways }}
{{- if $ways }}
{{- if .root.Values.ingress.enabled }}
{{ include "tailrace.ingress" (merge (dict "ways" $ways) .) }}
{{- end }}
{{- if .root.Values.httpRoute.enabled }}
{{- range $ways }}
{{ include "tailrace.httpRoute" (merge (dict "way" .) $) }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "tailrace.ingress" -}}
{{- $ingress := .root.Values.ingress -}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  {{- include "tailrace.metadata" (merge (dict "annotations" $ingress.annotations) .) | nindent 2 }}
spec:
  {{- with $ingress.className }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- if $ingress.tls.enabled }}
  tls:
    - hosts:
        {{- range .ways }}
        - {{ .host }}
        {{- end }}
      {{- with $ingress.tls.secretName }}
      secretName: {{ . }}
      {{- end }}
  {{- end }}
  rules:
    {{- range .ways }}
    - host: {{ .host }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: {{ .backend }}
                port: { number: {{ .port }} }
    {{- end }}
{{- end -}}

{{/* A stream has no end: request: 0s switches the gateway's limit off (https://gateway-api.sigs.k8s.io/guides/http-timeouts). */}}
{{- define "tailrace.httpRoute" -}}
{{- $suffix := .way.backend | trimPrefix (printf "%s-" (include "tailrace.fullname" .root)) -}}
{{- if gt (len (default dict .ports)) 1 -}}
{{- $suffix = printf "%s-%s" $suffix .way.role -}}
{{- end -}}
{{- $route := .root.Values.httpRoute -}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  {{- include "tailrace.metadata" (merge (dict "suffix" $suffix "annotations" $route.annotations) .) | nindent 2 }}
spec:
  parentRefs:
    {{- toYaml $route.parentRefs | nindent 4 }}
  hostnames:
    - {{ .way.host }}
  rules:
    - matches:
        - path: { type: PathPrefix, value: / }
      backendRefs:
        - name: {{ .way.backend }}
          port: {{ .way.port }}
      {{- if $route.timeouts }}
      timeouts:
        request: {{ ternary "0s" "60s" (eq .way.role "streams") }}
      {{- end }}
{{- end -}}
