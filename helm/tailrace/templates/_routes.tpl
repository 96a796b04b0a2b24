{{/* Routes from outside: an Ingress or HTTPRoutes for the names under `hosts`, and one for each node, for `moved`. */}}

{{- define "tailrace.routed" -}}
{{- or .Values.ingress.enabled .Values.httpRoute.enabled -}}
{{- end -}}

{{/* Whether clients connect with TLS. */}}
{{- define "tailrace.hostsSecure" -}}
{{- or (and .Values.ingress.enabled .Values.ingress.tls.enabled) (and .Values.httpRoute.enabled .Values.httpRoute.tls) -}}
{{- end -}}

{{/* The routes of a service, as JSON: {"routes": [{host, backend, port, role}]}. */}}
{{- define "tailrace.routeList" -}}
{{- $routes := list -}}
{{- $fullname := printf "%s-%s" (include "tailrace.fullname" .root) .service -}}
{{- $hosts := .root.Values.hosts -}}
{{- range $role, $port := .ports -}}
{{- with get $hosts $role -}}
{{- $routes = append $routes (dict "host" . "backend" $fullname "port" $port "role" $role) -}}
{{- end -}}
{{- end -}}
{{- if eq (include "tailrace.hasNodeServices" .) "true" -}}
{{- range $ordinal := until (include "tailrace.replicasMax" . | int) -}}
{{- $node := printf "%s-%d" $fullname $ordinal -}}
{{- $routes = append $routes (dict "host" ($hosts.node | replace "{node}" $node) "backend" $node "port" (get $.ports $.nodes) "role" $.nodes) -}}
{{- end -}}
{{- end -}}
{{- dict "routes" $routes | toJson -}}
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
  # Clients of a draining node still reach it: it sends them to others itself.
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
{{- $routes := (include "tailrace.routeList" . | fromJson).routes }}
{{- if $routes }}
{{- if .root.Values.ingress.enabled }}
{{ include "tailrace.ingress" (merge (dict "routes" $routes) .) }}
{{- end }}
{{- if .root.Values.httpRoute.enabled }}
{{- range $routes }}
{{ include "tailrace.httpRoute" (merge (dict "route" .) $) }}
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
        {{- range .routes }}
        - {{ .host }}
        {{- end }}
      {{- with $ingress.tls.secretName }}
      secretName: {{ . }}
      {{- end }}
  {{- end }}
  rules:
    {{- range .routes }}
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

{{/* request: 0s disables the timeout for streams (https://gateway-api.sigs.k8s.io/guides/http-timeouts). */}}
{{- define "tailrace.httpRoute" -}}
{{- $suffix := .route.backend | trimPrefix (printf "%s-" (include "tailrace.fullname" .root)) -}}
{{- if gt (len (default dict .ports)) 1 -}}
{{- $suffix = printf "%s-%s" $suffix .route.role -}}
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
    - {{ .route.host }}
  rules:
    - matches:
        - path: { type: PathPrefix, value: / }
      backendRefs:
        - name: {{ .route.backend }}
          port: {{ .route.port }}
      {{- if $route.timeouts }}
      timeouts:
        request: {{ ternary "0s" "60s" (eq .route.role "streams") }}
      {{- end }}
{{- end -}}
