{{/* What holds for one setting, as JSON in a list of one; takes the root and the dotted name. */}}
{{- define "stream-infer.held" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $found := $root.Values.config -}}
{{- $missing := false -}}
{{- range $step := splitList "." $name -}}
{{- if and (not $missing) (kindIs "map" $found) (hasKey $found $step) -}}
{{- $found = index $found $step -}}
{{- else -}}
{{- $missing = true -}}
{{- end -}}
{{- end -}}
{{- if or $missing (kindIs "invalid" $found) -}}
{{- $found = index ($root.Files.Get "files/settings.json" | fromJson).defaults $name -}}
{{- end -}}
{{- list $found | toJson -}}
{{- end -}}

{{/* The same as text; null is empty. */}}
{{- define "stream-infer.setting" -}}
{{- $held := first (include "stream-infer.held" . | fromJsonArray) -}}
{{- if not (kindIs "invalid" $held) }}{{ $held }}{{ end -}}
{{- end -}}

{{/* The same as whole seconds, rounded up. */}}
{{- define "stream-infer.seconds" -}}
{{- include "stream-infer.setting" . | float64 | ceil | int -}}
{{- end -}}

{{/* A setting that is a list, or one text with commas, as a JSON list. */}}
{{- define "stream-infer.names" -}}
{{- $names := first (include "stream-infer.held" . | fromJsonArray) -}}
{{- if kindIs "string" $names -}}
{{- $names = regexSplit "[,\\s]+" $names -1 | compact -}}
{{- end -}}
{{- toJson $names -}}
{{- end -}}

{{/* Whether the value of a dotted name is a secret; takes the root and the name. */}}
{{- define "stream-infer.isSecret" -}}
{{- $patterns := (index . 0).Files.Get "files/settings.json" | fromJson -}}
{{- $name := index . 1 -}}
{{- if and (regexMatch $patterns.secretPattern $name) (not (regexMatch $patterns.publicPattern $name)) }}true{{ end -}}
{{- end -}}

{{- define "stream-infer.isUrl" -}}
{{- if or (contains "://" .) (hasPrefix "models:/" .) }}true{{ end -}}
{{- end -}}

{{/* The topic that a role has: named, or made of the application id. */}}
{{- define "stream-infer.retryTopic" -}}
{{- $named := include "stream-infer.setting" (list . "topics.retry") -}}
{{- $named | default (printf "%s.retry" (include "stream-infer.setting" (list . "application_id"))) -}}
{{- end -}}

{{/* Where a Secret's value is mounted; takes the section and the property. */}}
{{- define "stream-infer.secretPath" -}}
/run/secrets/stream-infer/{{ index . 0 }}/{{ index . 1 }}
{{- end -}}

{{/* The settings file: `config`, with the mounted secrets named in it, and the GPU where there is one. */}}
{{- define "stream-infer.settingsFile" -}}
{{- $config := deepCopy .Values.config -}}
{{- range $section, $secrets := dict "kafka" .Values.secrets.kafka "schema_registry" .Values.secrets.schemaRegistry -}}
{{- if $secrets -}}
{{- $given := get $config $section | default dict -}}
{{- $files := get $given "property_files" | default dict -}}
{{- range $property, $_ := $secrets -}}
{{- $_ := set $files $property (include "stream-infer.secretPath" (list $section $property)) -}}
{{- end -}}
{{- $_ := set $given "property_files" $files -}}
{{- $_ := set $config $section $given -}}
{{- end -}}
{{- end -}}
{{- if and .Values.gpu.enabled (eq (include "stream-infer.setting" (list . "model.device")) "auto") -}}
{{- $model := get $config "model" | default dict -}}
{{- $_ := set $model "device" "cuda" -}}
{{- $_ := set $config "model" $model -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{- define "stream-infer.configData" -}}
{{- $files := dict "stream-infer.yaml" (include "stream-infer.settingsFile" .) -}}
{{- range $name, $content := .Values.schemaFiles -}}
{{- $_ := set $files $name $content -}}
{{- end -}}
{{- toYaml $files -}}
{{- end -}}
