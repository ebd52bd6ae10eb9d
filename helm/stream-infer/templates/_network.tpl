{{/* A URL's port as text: its own, else what its scheme means. */}}
{{- define "stream-infer.urlPort" -}}
{{- $own := regexFind "^[a-z0-9+.-]+://[^/]*:[0-9]+" . -}}
{{- if $own -}}
{{ regexFind "[0-9]+$" $own }}
{{- else -}}
{{ hasPrefix "http://" . | ternary "80" "443" }}
{{- end -}}
{{- end -}}

{{/* Ports of every place that a version may come from, as JSON: the repository, the download, what a rollout may name. */}}
{{- define "stream-infer.modelPorts" -}}
{{- $places := include "stream-infer.names" (list . "model.allowed_uri_prefixes") | fromJsonArray -}}
{{- $places = prepend $places (include "stream-infer.setting" (list . "model.repository")) -}}
{{- if eq .Values.modelVolume.type "download" -}}
{{- $places = append $places .Values.modelVolume.download.url -}}
{{- end -}}
{{- $ports := list -}}
{{- range $place := $places -}}
{{- if and (include "stream-infer.isUrl" $place) (not (hasPrefix "file:" $place)) -}}
{{- $ports = append $ports (include "stream-infer.urlPort" $place | int) -}}
{{- end -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}
