{{/* A duration as whole milliseconds; takes 500ms, 15s, 1m or 1h. */}}
{{- define "stream-infer.milliseconds" -}}
{{- $unit := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 -}}
{{- mul (regexFind "^[0-9]+" . | int64) (get $unit (regexFind "[a-z]+$" .)) -}}
{{- end -}}

{{/* How long a scrape may take: never longer than until the next one, which the Prometheus operator refuses. */}}
{{- define "stream-infer.scrapeTimeout" -}}
{{- with .Values.podMonitor -}}
{{- $isShort := lt (include "stream-infer.milliseconds" .interval | int64) 10000 -}}
{{- .scrapeTimeout | default ($isShort | ternary .interval "10s") -}}
{{- end -}}
{{- end -}}
