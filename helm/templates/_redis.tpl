{{/* A queue must never lose a key to make room: noeviction. Every write is on disk within a second. */}}
{{- define "tagferry.redisConf" -}}
bind * -::*
{{- if .Values.redis.tls.enabled }}
port 0
tls-port 6379
tls-cert-file /run/secrets/redis-tls/tls.crt
tls-key-file /run/secrets/redis-tls/tls.key
tls-ca-cert-file /run/secrets/redis-tls/ca.crt
tls-auth-clients no
{{- else }}
port 6379
{{- end }}
dir /data
appendonly {{ .Values.redis.persistence.enabled | ternary "yes" "no" }}
appendfsync everysec
save ""
maxmemory-policy noeviction
protected-mode no
tcp-keepalive 60
{{- end }}
