{{- define "stream-infer.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 50 characters, so that every ending still makes a valid name. */}}
{{- define "stream-infer.fullname" -}}
{{- $name := include "stream-infer.name" . -}}
{{- $full := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) -}}
{{- .Values.fullnameOverride | default $full | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* What never changes, and so may stand in selectors. */}}
{{- define "stream-infer.selectorLabels" -}}
app.kubernetes.io/name: {{ include "stream-infer.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "stream-infer.labels" -}}
{{ include "stream-infer.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "stream-infer.serviceAccountName" -}}
{{- $made := include "stream-infer.fullname" . -}}
{{- .Values.serviceAccount.name | default (.Values.serviceAccount.create | ternary $made "default") -}}
{{- end -}}

{{- define "stream-infer.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}
