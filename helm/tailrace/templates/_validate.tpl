{{/* Refuses contradictory values, each with what to do, before anything reaches the cluster. */}}

{{- define "tailrace.validate" -}}
{{- if eq (toString .Values.enabled) "false" -}}
{{- fail "enabled is false and the chart is installed; expected the parent chart to name enabled of this chart as the condition of its dependency" -}}
{{- end -}}
{{- $known := .Files.Get "files/settings.json" | fromJson -}}
{{- $enabled := (include "tailrace.enabledServices" . | fromJson).services -}}
{{- if not $enabled -}}
{{- fail "no service is enabled; expected standalone.enabled: true, or fanout and ingest" -}}
{{- end -}}
{{- include "tailrace.validateStandalone" (dict "root" $ "enabled" $enabled) -}}
{{- range $enabled -}}
{{- include "tailrace.validateService" (dict "root" $ "service" . "known" (get $known .)) -}}
{{- end -}}
{{- include "tailrace.validateHosts" . -}}
{{- if .Values.production -}}
{{- include "tailrace.validateProduction" (dict "root" $ "enabled" $enabled) -}}
{{- end -}}
{{- end -}}

{{- define "tailrace.validateStandalone" -}}
{{- if has "standalone" .enabled -}}
{{- $others := without .enabled "standalone" -}}
{{- if $others -}}
{{- fail (printf "standalone.enabled is true, and so is %s.enabled; standalone is all services in one pod: switch the others off, as values-embedded.yaml does" (first $others)) -}}
{{- end -}}
{{- $section := include "tailrace.section" (dict "root" .root "service" "standalone") | fromYaml -}}
{{- $replicas := include "tailrace.replicasMax" (dict "root" .root "service" "standalone") | int -}}
{{- if or (gt $replicas 1) $section.hpa.enabled $section.keda.enabled -}}
{{- fail (printf "standalone has %d replicas; expected 1, since each has a log of its own: take fanout and ingest on Kafka to have more" $replicas) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "tailrace.validateService" -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
{{- $settings := include "tailrace.settings" . | fromYaml -}}
{{- $name := .service -}}
{{- $values := .root.Values -}}
{{- $kafka := include "tailrace.kafka" . | fromYaml -}}
{{- if and $section.hpa.enabled $section.keda.enabled -}}
{{- fail (printf "%s.hpa.enabled and %s.keda.enabled are both true; two scalers undo each other: switch one off" $name $name) -}}
{{- end -}}
{{- if and (or $section.hpa.enabled $section.keda.enabled) (not (kindIs "invalid" $section.replicas)) -}}
{{- fail (printf "%s.replicas is %v and %s.%s.enabled is true; each upgrade would set the number back: leave replicas out" $name $section.replicas $name (ternary "hpa" "keda" $section.hpa.enabled)) -}}
{{- end -}}
{{- range $scaler := list "hpa" "keda" -}}
{{- with get $section $scaler -}}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) -}}
{{- fail (printf "%s.%s.minReplicas is %v and maxReplicas %v; expected at most maxReplicas" $name $scaler .minReplicas .maxReplicas) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $section.hpa.enabled (not $section.hpa.cpuPercent) (not $section.hpa.podMetrics) -}}
{{- fail (printf "%s.hpa.enabled is true and there is nothing to scale by; set %s.hpa.cpuPercent or %s.hpa.podMetrics" $name $name $name) -}}
{{- end -}}
{{- $stop := include "tailrace.stopSeconds" . | int -}}
{{- $grace := include "tailrace.graceSeconds" . | int -}}
{{- if lt $grace $stop -}}
{{- fail (printf "%s.terminationGracePeriodSeconds is %d, and a stop may take %d s by its drain; expected %d or more, or a shorter drainMs: clients would be disconnected" $name $grace $stop $stop) -}}
{{- end -}}
{{- if and (hasKey .known "kafkaBrokers") (not $kafka.brokers) -}}
{{- fail (printf "kafka.brokers is empty, and %s needs Kafka; expected a list such as [kafka:9092], or values-embedded.yaml, which needs none" $name) -}}
{{- end -}}
{{- if and (hasKey .known "natsServers") (ne (dig "bus" "nats" $settings) "none") (not $values.nats.servers) -}}
{{- fail (printf "nats.servers is empty, and %s needs NATS; expected a list such as [nats://nats:4222]" $name) -}}
{{- end -}}
{{- if and (hasKey .known "databaseUrl") (not $values.database.existingSecret) -}}
{{- fail (printf "%s.enabled is true and database.existingSecret is empty; expected the name of the Secret with the URL of PostgreSQL (kubectl create secret generic tailrace-database --from-literal=uri=postgres://user:password@host:5432/database)" $name) -}}
{{- end -}}
{{- include "tailrace.validateKeys" . -}}
{{- include "tailrace.validateTls" . -}}
{{- include "tailrace.validatePartitions" . -}}
{{- if gt (dig "connectionsMax" 0 $settings | int) 20000 -}}
{{- fail (printf "%s.config.connectionsMax is %d; expected at most 20000, what one node was measured to carry: add replicas instead" $name (int $settings.connectionsMax)) -}}
{{- end -}}
{{- end -}}

{{/* Keys that verify tokens, and complete logins. */}}
{{- define "tailrace.validateKeys" -}}
{{- $auth := .root.Values.auth -}}
{{- $settings := include "tailrace.settings" . | fromYaml -}}
{{- $section := include "tailrace.section" . | fromYaml -}}
{{- if hasKey .known "tokenSecret" -}}
{{- $bySecret := or $auth.existingSecret $auth.tokenSecret -}}
{{- if not (or $bySecret $settings.tokenJwksUrl $settings.tokenPublicKeys) -}}
{{- fail (printf "nothing is set that verifies tokens, and %s needs it; expected auth.existingSecret (kubectl create secret generic tailrace-auth --from-literal=token-secret=$(openssl rand -base64 48)) or config.tokenJwksUrl" .service) -}}
{{- end -}}
{{- if and $auth.existingSecret $auth.tokenSecret -}}
{{- fail "auth.existingSecret and auth.tokenSecret are both set; expected one of them: the Secret, or for a trial the value" -}}
{{- end -}}
{{- if and $auth.tokenSecret (lt (len $auth.tokenSecret) 32) -}}
{{- fail (printf "auth.tokenSecret has %d characters; expected at least 32, from openssl rand -base64 48" (len $auth.tokenSecret)) -}}
{{- end -}}
{{- end -}}
{{- with $section.token -}}
{{- if and .sign (not .secretKey) (not (and $auth.keys.tokenSecret (or $auth.existingSecret $auth.tokenSecret))) -}}
{{- fail (printf "%s.token.sign is true, and there is no shared secret to sign with; expected auth.existingSecret with the key auth.keys.tokenSecret, or a token of your issuer in it, named by %s.token.secretKey" $.service $.service) -}}
{{- end -}}
{{- if and .secretKey (not $auth.existingSecret) -}}
{{- fail (printf "%s.token.secretKey is %q, a key of auth.existingSecret, which is empty; expected the name of the Secret that has it" $.service .secretKey) -}}
{{- end -}}
{{- end -}}
{{- if hasKey .known "kafkaBrokers" -}}
{{- with (include "tailrace.kafka" . | fromYaml).sasl -}}
{{- if and .mechanism (not .existingSecret) -}}
{{- fail (printf "kafka.sasl.mechanism is %s and kafka.sasl.existingSecret is empty for %s; expected the name of the Secret with the password, there or in %s.kafka.sasl" .mechanism $.service $.service) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .root.Values.nats.auth -}}
{{- if and (or .passwordKey .credentialsKey) (not .existingSecret) -}}
{{- fail "nats.auth.passwordKey or credentialsKey is set and nats.auth.existingSecret is empty; expected the name of the Secret that has it" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The port with TLS for devices, and their certificates. */}}
{{- define "tailrace.validateTls" -}}
{{- $name := .service -}}
{{- $settings := include "tailrace.settings" . | fromYaml -}}
{{- with (include "tailrace.section" . | fromYaml).tls -}}
{{- if and .enabled (not .certSecret) -}}
{{- fail (printf "%s.tls.enabled is true and %s.tls.certSecret is empty; expected the name of the Secret with the certificate" $name $name) -}}
{{- end -}}
{{- if and .clientCrlSecret (not .clientCaSecret) -}}
{{- fail (printf "%s.tls.clientCrlSecret is set and %s.tls.clientCaSecret is empty; expected the CA whose lists these are" $name $name) -}}
{{- end -}}
{{- $isAccepted := or (and .enabled .clientCaSecret) $settings.clientCertificateHeader -}}
{{- if and $isAccepted (not $settings.certificateRules) -}}
{{- fail (printf "%s accepts client certificates and %s.config.certificateRules is empty; expected rules that map certificates to devices: docs/OPERATIONS.md" $name $name) -}}
{{- end -}}
{{- if and $settings.certificateRules (not $isAccepted) -}}
{{- fail (printf "%s.config.certificateRules is set and no client certificate is accepted; expected %s.tls.clientCaSecret with %s.tls.enabled: true, or %s.config.clientCertificateHeader" $name $name $name $name) -}}
{{- end -}}
{{- if and $settings.clientCertificateHeader (not $settings.trustedProxies) -}}
{{- fail (printf "%s.config.clientCertificateHeader is set and trustedProxies is empty; expected the networks of the proxies: the header is ignored from others" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Ingest and fanout create and read the same topic; a node without a partition serves nothing. */}}
{{- define "tailrace.validatePartitions" -}}
{{- if hasKey .known "telemetryPartitions" -}}
{{- $partitions := include "tailrace.partitions" . | int -}}
{{- range (include "tailrace.enabledServices" .root | fromJson).services -}}
{{- $other := include "tailrace.partitions" (dict "root" $.root "service" .) | int -}}
{{- if and $other (ne $other $partitions) -}}
{{- fail (printf "telemetryPartitions is %d for %s and %d for %s; both use one topic: set config.telemetryPartitions, once for all" $partitions $.service $other .) -}}
{{- end -}}
{{- end -}}
{{- $replicas := include "tailrace.replicasMax" (merge (dict "replicas" 2) .) | int -}}
{{- if and (eq .service "fanout") (gt $replicas $partitions) -}}
{{- fail (printf "%s may have %d replicas, and the topic has %d partitions; a node without one is idle: expected at most %d replicas, or more config.telemetryPartitions before the topic is made" .service $replicas $partitions $partitions) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Partitions that a service expects; 0 for a service without that setting. */}}
{{- define "tailrace.partitions" -}}
{{- $known := index (.root.Files.Get "files/settings.json" | fromJson) .service -}}
{{- dig "telemetryPartitions" (dig "telemetryPartitions" 0 $known) (include "tailrace.settings" . | fromYaml) -}}
{{- end -}}

{{- define "tailrace.validateHosts" -}}
{{- $hosts := .Values.hosts -}}
{{- if eq (include "tailrace.routed" .) "true" -}}
{{- if not (values $hosts | join "") -}}
{{- fail "ingress or httpRoute is enabled and no name is under hosts; expected at least hosts.streams" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.enabled is true and httpRoute.parentRefs is empty; expected the Gateway to attach to: [{ name: public, namespace: gateways }]" -}}
{{- end -}}
{{- end -}}
{{- range $path, $url := dict "hosts.node" $hosts.node "fanout.publicUrl" .Values.fanout.publicUrl -}}
{{- if and $url (not (contains "{node}" $url)) -}}
{{- fail (printf "%s is %q, the same for all nodes; expected {node} in it for the name of the pod: {node}.streams.example.org" $path $url) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "tailrace.validateProduction" -}}
{{- $values := .root.Values -}}
{{- if has "standalone" .enabled -}}
{{- fail "production is true and standalone.enabled, too; one pod with a key of its own and a demo sign-in is for trials: take fanout and ingest" -}}
{{- end -}}
{{- range $broker := list "kafka" "nats" -}}
{{- if not (index $values $broker).tls.enabled -}}
{{- fail (printf "production is true and %s.tls.enabled is false; tokens and readings would go in the clear: switch TLS on there" $broker) -}}
{{- end -}}
{{- end -}}
{{- if and (has "control" .enabled) (not $values.database.tls.enabled) -}}
{{- fail "production is true and database.tls.enabled is false; passwords and decisions would go in the clear: switch TLS on there" -}}
{{- end -}}
{{- if $values.auth.tokenSecret -}}
{{- fail "production is true and auth.tokenSecret is in the values, where many can read it; expected auth.existingSecret" -}}
{{- end -}}
{{- range $way := list "ingress" "httpRoute" -}}
{{- $section := index $values $way -}}
{{- $tls := ternary $section.tls (dig "tls" "enabled" false $values.ingress) (eq $way "httpRoute") -}}
{{- if and $section.enabled (not $tls) -}}
{{- fail (printf "production is true and %s is without TLS; tokens would go in the clear: set %s" $way (ternary "httpRoute.tls: true once its Gateway's listener has a certificate" "ingress.tls.enabled: true and a certificate" (eq $way "httpRoute"))) -}}
{{- end -}}
{{- end -}}
{{- $url := $values.fanout.publicUrl -}}
{{- if and $url (not (hasPrefix "wss://" $url)) -}}
{{- fail (printf "production is true and fanout.publicUrl is %q; expected wss://…" $url) -}}
{{- end -}}
{{- if and (has "dashboard" .enabled) $values.dashboard.token.sign -}}
{{- fail "production is true and dashboard.token.sign, too: any visitor of the page would see everything; expected false, people bring their own tokens" -}}
{{- end -}}
{{- end -}}
