{{/* Where workers run. */}}
{{- define "stream-infer.placement" -}}
{{- with .Values -}}
{{- if and .gpu.enabled .gpu.runtimeClassName }}
runtimeClassName: {{ .gpu.runtimeClassName }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat .tolerations (.gpu.enabled | ternary .gpu.tolerations list) }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .topologySpread.enabled }}
topologySpreadConstraints:
  {{- range .topologySpread.topologyKeys }}
  - topologyKey: {{ . }}
    maxSkew: {{ $.Values.topologySpread.maxSkew | int }}
    whenUnsatisfiable: {{ $.Values.topologySpread.whenUnsatisfiable }}
    labelSelector:
      matchLabels:
        {{- include "stream-infer.selectorLabels" $ | nindent 8 }}
        app.kubernetes.io/component: worker
    # The pods of each update are spread for themselves.
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* Half of the cores asked for, the other half is for reading and sending; without this the node's would be counted. */}}
{{- define "stream-infer.threads" -}}
{{- $named := false -}}
{{- range .Values.extraEnv -}}
{{- if eq .name "OMP_NUM_THREADS" }}{{ $named = true }}{{ end -}}
{{- end -}}
{{- $cpu := dig "requests" "cpu" "" .Values.resources | toString -}}
{{- if and (not $named) $cpu -}}
{{- $cores := hasSuffix "m" $cpu | ternary (divf (trimSuffix "m" $cpu) 1000) (float64 $cpu) -}}
- name: OMP_NUM_THREADS
  value: {{ max 1 (divf $cores 2 | floor | int) | quote }}
{{- end -}}
{{- end -}}

{{- define "stream-infer.resources" -}}
{{- $resources := deepCopy .Values.resources -}}
{{- if .Values.gpu.enabled -}}
{{- $limits := get $resources "limits" | default dict -}}
{{- $_ := set $limits .Values.gpu.resourceName 1 -}}
{{- $_ := set $resources "limits" $limits -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}
