{{/* Values that contradict each other fail before anything is installed. */}}
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
{{- $_ = set $daemon "healthListen" "0.0.0.0:8081" }}
{{- $_ = set $daemon "tokenFile" "/run/secrets/tagferry/token" }}
{{- if .Values.readToken.secret }}
{{- $_ = set $daemon "readTokenFile" "/run/secrets/tagferry/read-token" }}
{{- end }}
{{- if .Values.webhooks.enabled }}
{{- $hooks := dict "secretFile" "/run/secrets/tagferry/webhook" }}
{{- range .Values.webhooks.senders }}
{{- $files := default dict $hooks.secretFiles }}
{{- $_ = set $hooks "secretFiles" (set $files .sender (printf "/run/secrets/tagferry/webhook-%s" .sender)) }}
{{- end }}
{{- $_ = set $daemon "webhooks" $hooks }}
{{- end }}
{{- $redis := dict }}
{{- if .Values.redis.enabled }}
{{- $scheme := .Values.redis.tls.enabled | ternary "rediss" "redis" }}
{{- $_ = set $redis "url" (printf "%s://%s:6379" $scheme (include "tagferry.redisHost" .)) }}
{{- if .Values.redis.tls.enabled }}
{{- $_ = set $redis "ca" "/run/secrets/tagferry/redis-ca.crt" }}
{{- end }}
{{- else if .Values.redis.url }}
{{- $_ = set $redis "url" .Values.redis.url }}
{{- if .Values.redis.ca.configMap }}
{{- $_ = set $redis "ca" (printf "/etc/tagferry-ca/redis/%s" .Values.redis.ca.key) }}
{{- end }}
{{- end }}
{{- if $redis }}
{{- if include "tagferry.redisPassword" . }}
{{- $_ = set $redis "passwordFile" "/run/secrets/tagferry/redis-password" }}
{{- end }}
{{- $_ = set $daemon "redis" $redis }}
{{- $_ = set $daemon "jobKeyFile" "/run/secrets/tagferry/job-key" }}
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

{{/* Whether the pods need the cluster's API or the integrated registry: then they get the account's token. "": no. */}}
{{- define "tagferry.needsCluster" -}}
{{- $needs := or .Values.rbac.clusterWide .Values.rbac.namespaces .Values.config.clusters }}
{{- range .Values.config.mirrors }}
{{- range list .source .target (default "" .storage) }}
{{- if or (hasPrefix "imagestream:" .) (contains "${" .) (contains "openshift-image-registry" .) }}
{{- $needs = true }}
{{- end }}
{{- end }}
{{- end }}
{{- if $needs }}true{{- end }}
{{- end }}

{{/* The streams of a namespace that mirrors fill, as JSON; empty when only the pod knows, or when all are meant. */}}
{{- define "tagferry.streams" -}}
{{- $namespace := .namespace }}
{{- $names := list }}
{{- $all := or (empty $namespace) (has $namespace .root.Values.rbac.namespaces) }}
{{- range .root.Values.config.mirrors }}
{{- if contains "${" .target }}
{{- $all = true }}
{{- else if hasPrefix (printf "imagestream:%s/" $namespace) .target }}
{{- $names = append $names (trimPrefix (printf "imagestream:%s/" $namespace) .target) }}
{{- end }}
{{- end }}
{{- $all | ternary list ($names | uniq | sortAlpha) | toJson }}
{{- end }}

{{/* Streams of a namespace that mirrors read through the integrated registry, as JSON. Wants {root, namespace}. */}}
{{- define "tagferry.sourceStreams" -}}
{{- $namespace := .namespace }}
{{- $hosts := list "image-registry.openshift-image-registry.svc:5000" "image-registry.openshift-image-registry.svc.cluster.local:5000" }}
{{- range default dict .root.Values.config.clusters }}
{{- if .registry }}
{{- $hosts = append $hosts .registry }}
{{- end }}
{{- end }}
{{- $names := list }}
{{- range $mirror := .root.Values.config.mirrors }}
{{- range $hosts }}
{{- $prefix := printf "%s/%s/" . $namespace }}
{{- if hasPrefix $prefix $mirror.source }}
{{- $names = append $names (trimPrefix $prefix $mirror.source) }}
{{- end }}
{{- end }}
{{- end }}
{{- $names | uniq | sortAlpha | toJson }}
{{- end }}

{{/* Ports that the pods reach out to, as JSON: those of the values, and those that configuration, redis.url and proxies name. */}}
{{- define "tagferry.egressPorts" -}}
{{- $ports := .Values.networkPolicy.egress.ports }}
{{- $places := list }}
{{- range .Values.config.mirrors }}
{{- $places = concat $places (list .source .target (default "" .storage)) }}
{{- end }}
{{- $places = append $places (default "" (default dict .Values.config.defaults).storage) }}
{{- range $host, $settings := default dict .Values.config.registries }}
{{- $places = append $places (printf "%s/" $host) }}
{{- if and $settings.plainHttp (not (regexMatch ":[0-9]+" $host)) }}
{{- $ports = append $ports 80 }}
{{- end }}
{{- end }}
{{- range default dict .Values.config.clusters }}
{{- $places = append $places (printf "%s/" (default "" .registry)) }}
{{- end }}
{{- range .Values.env }}
{{- if regexMatch "(?i)^https?_proxy$" .name }}
{{- $places = append $places (printf "%s/" (regexReplaceAll "^[a-z]+://([^/@]*@)?" (default "" .value) "")) }}
{{- end }}
{{- end }}
{{- if .Values.redis.url }}
{{- $redis := regexReplaceAll "^[a-z]+://([^/@]*@)?" .Values.redis.url "" }}
{{- $places = append $places (regexMatch "^[^/]*:[0-9]+" $redis | ternary (printf "%s/" $redis) "redis:6379/") }}
{{- end }}
{{- range $places }}
{{- $port := regexReplaceAll "^[^/:]+:([0-9]+)/.*$" . "${1}" }}
{{- if ne $port . }}
{{- $ports = append $ports (atoi $port) }}
{{- end }}
{{- end }}
{{- $sorted := list }}
{{- range $ports }}
{{- $sorted = append $sorted (printf "%05d" (int .)) }}
{{- end }}
{{- $sorted | uniq | sortAlpha | toJson }}
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
{{- $streams := include "tagferry.streams" . | fromJsonArray }}
{{- $sources := include "tagferry.sourceStreams" . | fromJsonArray -}}
- apiGroups: [image.openshift.io] # list, watch and create cannot be bound to names
  resources: [imagestreams]
  verbs: [list, watch, create]
- apiGroups: [image.openshift.io] # read streams, and write into them which tags are ours
  resources: [imagestreams]
  {{- with $streams }}
  resourceNames: {{ toJson . }}
  {{- end }}
  verbs: [get, patch]
- apiGroups: [image.openshift.io] # pull and push
  resources: [imagestreams/layers]
  {{- with $streams }}
  resourceNames: {{ toJson . }}
  {{- end }}
  verbs: [get, update]
{{- if and $streams $sources }}
- apiGroups: [image.openshift.io] # sources in the same namespace
  resources: [imagestreams/layers]
  resourceNames: {{ toJson $sources }}
  verbs: [get]
{{- end }}
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
