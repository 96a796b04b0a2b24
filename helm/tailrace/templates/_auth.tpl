{{/* The secret that signs tokens, and tokens for services that are clients themselves. */}}

{{/*
The data of the Secret that the chart creates, or nothing where auth.existingSecret names one. For trials: many can read
a key in the values. Standalone needs none in the values: it gets a random one, which upgrades keep.
*/}}
{{- define "tailrace.ownSecretData" -}}
{{- $auth := .Values.auth -}}
{{- if and $auth.keys.tokenSecret (not $auth.existingSecret) -}}
{{- if and (not $auth.tokenSecret) .Values.standalone.enabled -}}
{{- $present := lookup "v1" "Secret" .Release.Namespace (include "tailrace.authSecretName" .) | default dict -}}
{{- $kept := dig "data" $auth.keys.tokenSecret "" $present | b64dec -}}
{{- /* Stored in the values, so that the rest of this rendering uses the same. */ -}}
{{- $_ := set $auth "tokenSecret" ($kept | default (randAlphaNum 48)) -}}
{{- end -}}
{{- with $auth.tokenSecret -}}
{{ $auth.keys.tokenSecret }}: {{ b64enc . }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Whether a service's token is signed as its pod starts: it is a client, and no Secret has its token. */}}
{{- define "tailrace.signsToken" -}}
{{- if .token -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
{{- and $section.token.sign (not $section.token.secretKey) -}}
{{- end -}}
{{- end -}}

{{/* Signs the token and writes it to a settings file of the service: Helm's templates cannot sign. */}}
{{- define "tailrace.tokenContainer" -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
image: {{ include "tailrace.image" . }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
command: [node, --input-type=module, --eval]
args:
  - |
    {{- .root.Files.Get "files/token.mjs" | nindent 4 }}
    import { writeFileSync } from 'node:fs';
    const token = signedToken(process.env.TOKEN_SECRET, JSON.parse(process.env.TOKEN_CLAIMS), 365 * 24 * 3600);
    writeFileSync('/run/tailrace/token.json', JSON.stringify({ [process.env.TOKEN_SETTING]: token }));
env:
  {{- include "tailrace.secretVariable" (dict "name" "TOKEN_SECRET" "secret" (include "tailrace.authSecretName" .root) "key" .root.Values.auth.keys.tokenSecret) | nindent 2 }}
  - name: TOKEN_SETTING
    value: {{ .token.setting }}
  - name: TOKEN_CLAIMS
    value: {{ include "tailrace.tokenClaims" (dict "root" .root "claims" (merge (dict "sub" .service) .token.claims)) | quote }}
securityContext:
  {{- include "tailrace.containerSecurity" . | nindent 2 }}
resources:
  {{- toYaml $section.resources | nindent 2 }}
volumeMounts:
  - name: token
    mountPath: /run/tailrace
{{- end -}}

{{/* Claims as JSON, with the issuer and audience that the services require. */}}
{{- define "tailrace.tokenClaims" -}}
{{- $config := .root.Values.config -}}
{{- merge (dict "iss" (default "" $config.tokenIssuer) "aud" (default "" $config.tokenAudience)) .claims | toJson -}}
{{- end -}}
