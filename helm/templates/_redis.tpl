{{/* A queue must never lose a key to make room: noeviction. Every write is on disk within a second. */}}
{{- define "tagferry.redisConf" -}}
bind * -::*
port 6379
dir /data
appendonly {{ .Values.redis.persistence.enabled | ternary "yes" "no" }}
appendfsync everysec
save ""
maxmemory-policy noeviction
protected-mode no
tcp-keepalive 60
{{- end }}
