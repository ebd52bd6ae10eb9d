{{- define "stream-infer.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.security }}
{{- if not (kindIs "invalid" .runAsUser) }}
runAsUser: {{ .runAsUser | int64 }}
{{- end }}
{{- if not (kindIs "invalid" .runAsGroup) }}
runAsGroup: {{ .runAsGroup | int64 }}
fsGroup: {{ .runAsGroup | int64 }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "stream-infer.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* What every pod says of itself; takes the root and the service account's name. */}}
{{- define "stream-infer.podCommon" -}}
{{- $root := index . 0 -}}
serviceAccountName: {{ index . 1 }}
automountServiceAccountToken: false
# Kubernetes' variables for a Service that is named stream-infer would look like settings.
enableServiceLinks: false
securityContext:
  {{- include "stream-infer.podSecurity" $root | nindent 2 }}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "stream-infer.env" -}}
{{- $cache := include "stream-infer.setting" (list . "model.cache_directory") -}}
- name: STREAM_INFER_CONFIG
  value: /etc/stream-infer/stream-infer.yaml
# The image has variables of these names, which would win over the settings file.
- name: STREAM_INFER_WEB__HOST
  value: {{ include "stream-infer.setting" (list . "web.host") | quote }}
- name: STREAM_INFER_WEB__PORT
  value: {{ include "stream-infer.setting" (list . "web.port") | quote }}
- name: HOME
  value: /tmp
- name: XDG_CACHE_HOME
  value: {{ $cache }}
- name: TORCHINDUCTOR_CACHE_DIR
  value: {{ $cache }}/torchinductor
- name: TRITON_CACHE_DIR
  value: {{ $cache }}/triton
- name: CUDA_CACHE_PATH
  value: {{ $cache }}/cuda
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "stream-infer.envFrom" -}}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The mounts that every command needs. */}}
{{- define "stream-infer.mounts" -}}
- name: config
  mountPath: /etc/stream-infer
  readOnly: true
{{- if or .Values.secrets.kafka .Values.secrets.schemaRegistry }}
- name: secrets
  mountPath: /run/secrets/stream-infer
  readOnly: true
{{- end }}
{{ include "stream-infer.commonMounts" . }}
{{- end -}}

{{/* The mounts of every container, those that only copy models too. */}}
{{- define "stream-infer.commonMounts" -}}
- name: tmp
  mountPath: /tmp
- name: cache
  mountPath: {{ include "stream-infer.setting" (list . "model.cache_directory") }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The volumes of those mounts; takes the root and the ConfigMap's name. */}}
{{- define "stream-infer.volumes" -}}
{{- $root := index . 0 -}}
{{- with $root.Values -}}
- name: config
  configMap:
    name: {{ index $ 1 }}
    items:
      - key: stream-infer.yaml
        path: stream-infer.yaml
      {{- range $name, $_ := .schemaFiles }}
      - key: {{ $name }}
        path: schemas/{{ $name }}
      {{- end }}
{{- if or .secrets.kafka .secrets.schemaRegistry }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range $section, $secrets := dict "kafka" .secrets.kafka "schema_registry" .secrets.schemaRegistry }}
      {{- range $property, $where := $secrets }}
      - secret:
          name: {{ $where.secretName }}
          items:
            - key: {{ $where.key }}
              path: {{ $section }}/{{ $property }}
      {{- end }}
      {{- end }}
{{- end }}
- name: tmp
  emptyDir:
    sizeLimit: {{ .tmpSizeLimit }}
- name: cache
  emptyDir:
    sizeLimit: {{ .cacheSizeLimit }}
{{- with .extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "stream-infer.modelVolume" -}}
{{- with .Values.modelVolume -}}
{{- if eq .type "persistentVolumeClaim" -}}
- name: models
  persistentVolumeClaim:
    claimName: {{ .persistentVolumeClaim.claimName }}
    readOnly: true
{{- else if eq .type "image" -}}
- name: models
  image:
    reference: {{ .image.reference }}
    pullPolicy: {{ .image.pullPolicy }}
{{- else if eq .type "download" -}}
- name: models
  emptyDir:
    sizeLimit: {{ .download.sizeLimit }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Of a command that runs for seconds beside the workers. */}}
{{- define "stream-infer.commandResources" -}}
requests:
  cpu: 100m
  memory: 512Mi
limits:
  memory: 1Gi
{{- end -}}
