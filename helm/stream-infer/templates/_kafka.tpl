{{/* The input topics, as JSON. */}}
{{- define "stream-infer.inputs" -}}
{{- include "stream-infer.names" (list . "topics.input") -}}
{{- end -}}

{{/* Ports of the brokers, as JSON: those of `bootstrap_servers` (9092 where none is named) and of `networkPolicy`. */}}
{{- define "stream-infer.kafkaPorts" -}}
{{- $ports := list -}}
{{- range $server := include "stream-infer.setting" (list . "kafka.bootstrap_servers") | splitList "," -}}
{{- $port := regexFind ":[0-9]+$" (trim $server) | trimPrefix ":" | default "9092" -}}
{{- $ports = append $ports (int $port) -}}
{{- end -}}
{{- range $port := .Values.networkPolicy.kafkaPorts -}}
{{- $ports = append $ports (int $port) -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}

{{- define "stream-infer.securityProtocol" -}}
{{- $properties := first (include "stream-infer.held" (list . "kafka.properties") | fromJsonArray) -}}
{{- index $properties "security.protocol" | default "plaintext" | upper -}}
{{- end -}}

{{/* KEDA's word for the SASL mechanism; empty where KEDA has none. */}}
{{- define "stream-infer.kedaSasl" -}}
{{- $properties := first (include "stream-infer.held" (list . "kafka.properties") | fromJsonArray) -}}
{{- $mechanism := index $properties "sasl.mechanism" | default (index $properties "sasl.mechanisms") | default "GSSAPI" -}}
{{- $words := dict "PLAIN" "plaintext" "SCRAM-SHA-256" "scram_sha256" "SCRAM-SHA-512" "scram_sha512" -}}
{{- get $words $mechanism -}}
{{- end -}}

{{/* KEDA's parameters for the properties that are in Secrets, as JSON. */}}
{{- define "stream-infer.kedaParameters" -}}
{{- $words := dict "sasl.username" "username" "sasl.password" "password" "ssl.ca.pem" "ca" "ssl.certificate.pem" "cert" "ssl.key.pem" "key" "ssl.key.password" "keyPassword" -}}
{{- $parameters := list -}}
{{- range $property, $where := .Values.secrets.kafka -}}
{{- if hasKey $words $property -}}
{{- $parameters = append $parameters (dict "parameter" (get $words $property) "name" $where.secretName "key" $where.key) -}}
{{- end -}}
{{- end -}}
{{- toJson $parameters -}}
{{- end -}}

{{- define "stream-infer.kedaAuthentication" -}}
{{- $made := gt (len (include "stream-infer.kedaParameters" . | fromJsonArray)) 0 -}}
{{- if .Values.keda.authenticationName -}}
{{ .Values.keda.authenticationName }}
{{- else if and $made (ne (include "stream-infer.securityProtocol" .) "PLAINTEXT") -}}
{{ include "stream-infer.fullname" . }}
{{- end -}}
{{- end -}}
