{{/* Fails with a sentence for each combination of values that cannot work; the schema looks at each value alone. */}}
{{- define "stream-infer.refuse" -}}
{{- $sentences := list -}}
{{- range $part := list "Scaling" "Settings" "Secrets" "Urls" "Model" "Device" "Keda" "Monitor" "Environment" -}}
{{- range $line := include (printf "stream-infer.refuse%s" $part) $ | splitList "\n" -}}
{{- with trim $line }}{{ $sentences = append $sentences . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- if $sentences -}}
{{- $text := join "\n" $sentences -}}
{{- fail (printf "\n%s" (regexReplaceAll "://[^/\\s]+@" $text "://[hidden]@")) -}}
{{- end -}}
{{- end -}}

{{- define "stream-infer.refuseScaling" -}}
{{- with .Values }}
{{- if and .hpa.enabled .keda.enabled }}
hpa.enabled and keda.enabled are both true, expected at most one: two autoscalers undo what the other does.
{{- end }}
{{- range $name := list "hpa" "keda" }}
{{- $one := index $.Values $name }}
{{- if and $one.enabled (gt (int $one.minReplicas) (int $one.maxReplicas)) }}
{{ $name }}.minReplicas is {{ $one.minReplicas }}, expected at most {{ $name }}.maxReplicas, {{ $one.maxReplicas }}.
{{- end }}
{{- end }}
{{- if and .hpa.enabled (not (dig "requests" "cpu" "" .resources)) }}
resources.requests.cpu is not set, expected a CPU request beside hpa.enabled: its target is a percentage of it.
{{- end }}
{{- end }}
{{- end -}}

{{- define "stream-infer.refuseSettings" -}}
{{- $host := include "stream-infer.setting" (list . "web.host") }}
{{- $cache := include "stream-infer.setting" (list . "model.cache_directory") }}
{{- if not (dig "kafka" "bootstrap_servers" "" .Values.config) }}
config.kafka.bootstrap_servers is not set, expected the brokers' addresses, as kafka:9092.
{{- end }}
{{- if .Values.config.worker_id }}
config.worker_id is {{ .Values.config.worker_id }}, expected it left out: each worker's id is its pod's name.
{{- end }}
{{- if ne (include "stream-infer.setting" (list . "web.enabled")) "true" }}
config.web.enabled is false, expected true: the probes ask the worker's pages.
{{- end }}
{{- if or (hasPrefix "127." $host) (has $host (list "localhost" "::1")) }}
config.web.host is {{ $host }}, expected an address that nodes can reach, as 0.0.0.0: the probes come from there.
{{- end }}
{{- if not (hasPrefix "/" $cache) }}
config.model.cache_directory is {{ $cache | default "null" }}, expected an absolute path: an emptyDir is mounted there.
{{- end }}
{{- end -}}

{{- define "stream-infer.refuseSecrets" -}}
{{- range $section, $value := dict "kafka" "secrets.kafka" "schema_registry" "secrets.schemaRegistry" }}
{{- $given := index $.Values.config $section | default dict }}
{{- range $map := list "properties" "consumer_properties" "producer_properties" }}
{{- range $name, $_ := index $given $map | default dict }}
{{- if include "stream-infer.isSecret" (list $ $name) }}
config.{{ $section }}.{{ $map }}.{{ $name }} is a secret in a ConfigMap, expected it in an existing Secret that {{ $value }} names.
{{- end }}
{{- end }}
{{- end }}
{{- range $name, $_ := eq $section "kafka" | ternary $.Values.secrets.kafka $.Values.secrets.schemaRegistry }}
{{- range $map := list "properties" "property_files" }}
{{- if hasKey (index $given $map | default dict) $name }}
config.{{ $section }}.{{ $map }}.{{ $name }} and {{ $value }}.{{ $name }} are both set, expected one of them.
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values }}
{{- $hasNoGroup := and (not (kindIs "invalid" .security.runAsUser)) (kindIs "invalid" .security.runAsGroup) }}
{{- if and (or .secrets.kafka .secrets.schemaRegistry) $hasNoGroup }}
security.runAsGroup is null and security.runAsUser {{ .security.runAsUser | int64 }}, expected a group, or both null: mounted secrets are read by their group.
{{- end }}
{{- end }}
{{- end -}}

{{- define "stream-infer.refuseUrls" -}}
{{- range $name := include "stream-infer.withUser" (list .Values "") | splitList "\n" | compact | uniq }}
{{ $name }} has a URL with a user or a password in it, expected none: whoever sees the manifests would read them.
{{- end }}
{{- end -}}

{{/* Names of the values that hold a URL with a user, a line each; takes a value and its name. */}}
{{- define "stream-infer.withUser" -}}
{{- $value := index . 0 -}}
{{- $name := index . 1 -}}
{{- if or (kindIs "map" $value) (kindIs "slice" $value) -}}
{{- range $step, $inner := $value -}}
{{- include "stream-infer.withUser" (list $inner (printf "%s.%v" $name $step | trimPrefix ".")) -}}
{{- end -}}
{{- else if kindIs "string" $value -}}
{{- range $found := regexFindAll "[A-Za-z0-9+.-]+://[^/\\s]+@" $value -1 -}}
{{- /* Azure's URLs name a container there, which is no secret. */ -}}
{{- if not (regexMatch "(?i)^(abfss?|wasbs?)://[^:]+@$" $found) -}}
{{ $name }}{{ "\n" }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "stream-infer.refuseModel" -}}
{{- $repository := include "stream-infer.setting" (list . "model.repository") }}
{{- with .Values.modelVolume }}
{{- if and (eq .type "none") (not (include "stream-infer.isUrl" $repository)) }}
modelVolume.type is none and config.model.repository is {{ $repository }}, expected a volume for the folder or a URL.
{{- end }}
{{- if and (ne .type "none") (not (hasPrefix "/" $repository)) }}
modelVolume.type is {{ .type }} and config.model.repository is {{ $repository }}, expected an absolute path to mount it at.
{{- end }}
{{- $needed := dict "persistentVolumeClaim" "claimName" "image" "reference" "download" "url" }}
{{- if and (hasKey $needed .type) (not (index . .type (get $needed .type))) }}
modelVolume.{{ .type }}.{{ get $needed .type }} is empty, expected it set beside modelVolume.type: {{ .type }}.
{{- end }}
{{- if and (eq .type "download") .subPath }}
modelVolume.subPath is {{ .subPath }}, expected it empty beside modelVolume.type: download: name the folder in the URL.
{{- end }}
{{- if and (eq .type "image") (semverCompare "<1.33.0-0" $.Capabilities.KubeVersion.Version) }}
modelVolume.type is image, which needs Kubernetes 1.33 or later, expected another type: the cluster is {{ $.Capabilities.KubeVersion.Version }}.
{{- end }}
{{- end }}
{{- end -}}

{{- define "stream-infer.refuseDevice" -}}
{{- $device := include "stream-infer.setting" (list . "model.device") }}
{{- if and .Values.gpu.enabled (eq $device "cpu") }}
gpu.enabled is true and config.model.device is cpu, expected cuda or auto: the GPU would lie idle.
{{- end }}
{{- if and (hasPrefix "cuda" $device) (not .Values.gpu.enabled) }}
config.model.device is {{ $device }} and gpu.enabled is false, expected true: the pods would see no GPU.
{{- end }}
{{- end -}}

{{- define "stream-infer.refuseKeda" -}}
{{- $keda := .Values.keda }}
{{- if $keda.enabled }}
{{- if lt (int $keda.activationLagThreshold) (int $keda.transactionalInputPartitions) }}
keda.activationLagThreshold is {{ $keda.activationLagThreshold }}, expected at least keda.transactionalInputPartitions, {{ $keda.transactionalInputPartitions }}: the marks of transactions stay as lag.
{{- end }}
{{- if gt (int $keda.fallback.replicas) (int $keda.maxReplicas) }}
keda.fallback.replicas is {{ $keda.fallback.replicas }}, expected at most keda.maxReplicas, {{ $keda.maxReplicas }}.
{{- end }}
{{- if not $keda.authenticationName }}
{{- $properties := first (include "stream-infer.held" (list . "kafka.properties") | fromJsonArray) }}
{{- if hasPrefix "SASL_" (include "stream-infer.securityProtocol" .) }}
{{- if not (include "stream-infer.kedaSasl" .) }}
config.kafka.properties.sasl.mechanism is {{ index $properties "sasl.mechanism" | default (index $properties "sasl.mechanisms") | default "GSSAPI" }}, expected keda.authenticationName beside it, or PLAIN or SCRAM: for others the chart makes no TriggerAuthentication.
{{- else if not (and (hasKey .Values.secrets.kafka "sasl.username") (hasKey .Values.secrets.kafka "sasl.password")) }}
secrets.kafka names no sasl.username and sasl.password, expected both, or keda.authenticationName: KEDA reads the lag with them.
{{- end }}
{{- end }}
{{- range $name := list "ssl.ca.location" "ssl.certificate.location" "ssl.key.location" }}
{{- if hasKey $properties $name }}
config.kafka.properties.{{ $name }} is a file of the worker's, which KEDA cannot read, expected PEM text in secrets.kafka, or keda.authenticationName.
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "stream-infer.refuseMonitor" -}}
{{- $timeout := include "stream-infer.scrapeTimeout" . }}
{{- $interval := .Values.podMonitor.interval }}
{{- if gt (include "stream-infer.milliseconds" $timeout | int64) (include "stream-infer.milliseconds" $interval | int64) }}
podMonitor.scrapeTimeout is {{ $timeout }}, expected at most podMonitor.interval, {{ $interval }}: the Prometheus operator refuses it.
{{- end }}
{{- end -}}

{{- define "stream-infer.refuseEnvironment" -}}
{{- range .Values.extraEnv }}
{{- if and .value (include "stream-infer.isSecretVariable" (list $ .name)) }}
extraEnv has a value for {{ .name }}, which is a secret by its name, expected valueFrom, or an existing Secret in extraEnvFrom.
{{- end }}
{{- if has .name (list "STREAM_INFER_WEB__HOST" "STREAM_INFER_WEB__PORT") }}
extraEnv names {{ .name }}, expected config.web instead: probes, port and NetworkPolicy follow that.
{{- end }}
{{- if has .name (list "STREAM_INFER_CONFIG" "STREAM_INFER_WORKER_ID" "HOME" "XDG_CACHE_HOME" "TORCHINDUCTOR_CACHE_DIR" "TRITON_CACHE_DIR" "CUDA_CACHE_PATH") }}
extraEnv names {{ .name }}, expected another name: the chart sets that one.
{{- end }}
{{- end }}
{{- end -}}

{{/* Whether an environment variable holds a secret; takes the root and its name. */}}
{{- define "stream-infer.isSecretVariable" -}}
{{- $name := index . 1 | lower | replace "_" "." -}}
{{- $isPlace := regexMatch "property\\.files\\.|(credentials|\\.path)$" $name -}}
{{- $isKey := regexMatch "(access|account|api|storage)\\.?key$|connection\\.string$|otlp\\.(.+\\.)?headers$" $name -}}
{{- if and (not $isPlace) (or $isKey (include "stream-infer.isSecret" (list (index . 0) $name))) }}true{{ end -}}
{{- end -}}
