{{/* Names of Secrets: those of the values, else those that the chart makes. */}}

{{- define "tagferry.redisHost" -}}
{{ include "tagferry.fullname" . }}-redis.{{ .Release.Namespace }}.svc
{{- end }}

{{/* The Secret with the password of Redis; empty: there is none. */}}
{{- define "tagferry.redisPassword" -}}
{{- if .Values.redis.password.secret }}
{{- .Values.redis.password.secret }}
{{- else if .Values.redis.enabled }}
{{- include "tagferry.fullname" . }}-redis
{{- end }}
{{- end }}

{{- define "tagferry.redisTls" -}}
{{- default (printf "%s-redis-tls" (include "tagferry.fullname" .)) .Values.redis.tls.secret }}
{{- end }}

{{- define "tagferry.jobKey" -}}
{{- default (printf "%s-job-key" (include "tagferry.fullname" .)) .Values.jobKey.secret }}
{{- end }}

{{/* The data of a Secret that is in the cluster, as JSON: what was made once stays. Wants {root, name}. */}}
{{- define "tagferry.kept" -}}
{{- $found := lookup "v1" "Secret" .root.Release.Namespace .name }}
{{- default dict (default dict $found).data | toJson }}
{{- end }}
