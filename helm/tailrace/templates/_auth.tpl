{{/* The secret that tokens are signed with, and tokens for services of ours that are clients themselves. */}}

{{/*
The data of the Secret that the chart makes itself, or nothing where there is one already. For trials: a key in values is a key that many have
seen. Standalone alone needs none in the values: it gets one by chance, which upgrades keep.
*/}}
{{- define "tailrace.ownSecretData" -}}
{{- $auth := .Values.auth -}}
{{- if and $auth.keys.tokenSecret (not $auth.existingSecret) -}}
{{- if and (not $auth.tokenSecret) .Values.standalone.enabled -}}
{{- $present := lookup "v1" "Secret" .Release.Namespace (include "tailrace.authSecretName" .) | default dict -}}
{{- $kept := dig "data" $auth.keys.tokenSecret "" $present | b64dec -}}
{{- /* Kept in the values for the rest of this rendering, so that all who ask get the same. */ -}}
{{- $_ := set $auth "tokenSecret" ($kept | default (randAlphaNum 48)) -}}
{{- end -}}
{{- with $auth.tokenSecret -}}
{{ $auth.keys.tokenSecret }}: {{ b64enc . }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Whether a service's token is signed as its pod starts: it is a client, wants one, and is given none ready-made. */}}
{{- define "tailrace.signsToken" -}}
{{- if .token -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
{{- and $section.token.sign (not $section.token.secretKey) -}}
{{- end -}}
{{- end -}}

{{/* Signs the token and leaves it, as a file of settings, where the service reads it: Helm's templates cannot sign. */}}
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

{{/* Claims as JSON, with the issuer and audience that the services ask for. */}}
{{- define "tailrace.tokenClaims" -}}
{{- $config := .root.Values.config -}}
{{- merge (dict "iss" (default "" $config.tokenIssuer) "aud" (default "" $config.tokenAudience)) .claims | toJson -}}
{{- end -}}
