{{/* What does not go together is told before anything is installed. */}}
{{- define "tagferry.check" -}}
{{- $shared := or .Values.redis.enabled .Values.redis.url }}
{{- if not .Values.image.repository }}
{{- fail "image.repository: where Tagferry's image was pushed, as docs/install.md tells" }}
{{- end }}
{{- if not .Values.config.mirrors }}
{{- fail "config.mirrors: at least one mirror, as docs/config.md tells" }}
{{- end }}
{{- if and .Values.redis.enabled .Values.redis.url }}
{{- fail "redis: either redis.enabled (one of our own) or redis.url (one that is there)" }}
{{- end }}
{{- if and .Values.workers.enabled (not $shared) }}
{{- fail "workers.enabled: workers share a queue with the daemon; set redis.enabled or redis.url" }}
{{- end }}
{{- if and (gt (int .Values.replicas) 1) (not $shared) }}
{{- fail "replicas: more than one daemon share a queue; set redis.enabled or redis.url" }}
{{- end }}
{{- end }}

{{/* The daemon's part of tagferry.yaml: the user's words, and what only the chart knows. */}}
{{- define "tagferry.daemon" -}}
{{- $daemon := deepCopy (default dict .Values.config.daemon) }}
{{- $_ := set $daemon "listen" "0.0.0.0:8080" }}
{{- $_ = set $daemon "tokenFile" "/run/secrets/tagferry/token" }}
{{- if .Values.webhooks.enabled }}
{{- $_ = set $daemon "webhooks" (dict "secretFile" "/run/secrets/tagferry/webhook") }}
{{- end }}
{{- $redis := dict }}
{{- if .Values.redis.enabled }}
{{- $_ = set $redis "url" (printf "redis://%s-redis.%s.svc:6379" (include "tagferry.fullname" .) .Release.Namespace) }}
{{- else if .Values.redis.url }}
{{- $_ = set $redis "url" .Values.redis.url }}
{{- if .Values.redis.ca.configMap }}
{{- $_ = set $redis "ca" (printf "/etc/tagferry-ca/redis/%s" .Values.redis.ca.key) }}
{{- end }}
{{- end }}
{{- if $redis }}
{{- if .Values.redis.password.secret }}
{{- $_ = set $redis "passwordFile" "/run/secrets/tagferry/redis-password" }}
{{- end }}
{{- $_ = set $daemon "redis" $redis }}
{{- end }}
{{- toYaml $daemon }}
{{- end }}

{{- define "tagferry.config" -}}
{{- $config := deepCopy .Values.config }}
{{- $_ := set $config "daemon" (include "tagferry.daemon" . | fromYaml) }}
{{- toYaml $config }}
{{- end }}

{{/* daemon.grace in seconds: 25s, 2m, 1h30m */}}
{{- define "tagferry.graceSeconds" -}}
{{- $daemon := default dict .Values.config.daemon }}
{{- $total := 0 }}
{{- range regexFindAll "[0-9]+(ms|[smhdw])" (default "25s" $daemon.grace) -1 }}
{{- $count := regexFind "^[0-9]+" . | atoi }}
{{- $unit := regexFind "[a-z]+$" . }}
{{- if eq $unit "ms" }}
{{- $total = add $total (div (add $count 999) 1000) }}
{{- else }}
{{- $total = add $total (mul $count (get (dict "s" 1 "m" 60 "h" 3600 "d" 86400 "w" 604800) $unit)) }}
{{- end }}
{{- end }}
{{- $total }}
{{- end }}

{{/* The namespaces of the mirrors' image streams, as JSON. */}}
{{- define "tagferry.namespaces" -}}
{{- $all := .Values.rbac.namespaces }}
{{- range .Values.config.mirrors }}
{{- $namespace := regexReplaceAll "^imagestream:([a-z0-9-]+)/.*$" .target "${1}" }}
{{- if ne $namespace .target }}
{{- $all = append $all $namespace }}
{{- else if and (hasPrefix "imagestream:" .target) (not $.Values.rbac.namespaces) }}
{{- fail (printf "rbac.namespaces: the namespace of %s is told only in the pod; name it here too" .target) }}
{{- end }}
{{- end }}
{{- $all | uniq | sortAlpha | toJson }}
{{- end }}

{{/* What the mirrors need of the image streams of a namespace ("": of all), and no more. Wants {root, namespace}. */}}
{{- define "tagferry.rules" -}}
{{- $values := .root.Values }}
{{- $defaults := default dict $values.config.defaults }}
{{- $stream := .namespace | empty | ternary "imagestream:" (printf "imagestream:%s/" .namespace) }}
{{- $imports := false }}
{{- $prunes := false }}
{{- range $values.config.mirrors }}
{{- if or (hasPrefix $stream .target) (contains "${" .target) }}
{{- if ne (default "integrated" (default $defaults.storage .storage)) "integrated" }}
{{- $imports = true }}
{{- end }}
{{- if or .prune $defaults.prune }}
{{- $prunes = true }}
{{- end }}
{{- end }}
{{- end }}
{{- if ne (toString $values.rbac.imports) "auto" }}
{{- $imports = $values.rbac.imports }}
{{- end }}
{{- if ne (toString $values.rbac.prune) "auto" }}
{{- $prunes = $values.rbac.prune }}
{{- end -}}
- apiGroups: [image.openshift.io] # read and watch streams, make them, note in them what is ours
  resources: [imagestreams]
  verbs: [get, list, watch, create, patch]
- apiGroups: [image.openshift.io] # pull and push
  resources: [imagestreams/layers]
  verbs: [get, update]
{{- if $imports }}
- apiGroups: [image.openshift.io] # storage: source, or a registry in between
  resources: [imagestreamimports]
  verbs: [create]
{{- end }}
{{- if $prunes }}
- apiGroups: [image.openshift.io] # prune
  resources: [imagestreamtags]
  verbs: [delete]
{{- end }}
{{- if $values.rbac.events }}
- apiGroups: [""] # a failed tag shows in `oc describe is`
  resources: [events]
  verbs: [get, create, patch]
{{- end }}
{{- end }}
