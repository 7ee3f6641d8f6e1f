{{/* For restricted-v2: no UID of ours, the namespace's range gives one. */}}
{{- define "tagferry.podSecurity" -}}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "tagferry.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* Where the pods go. */}}
{{- define "tagferry.placement" -}}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "tagferry.env" -}}
{{- if .Values.trust.serviceCA }}
- name: NODE_EXTRA_CA_CERTS
  value: /etc/tagferry-ca/service/service-ca.crt
{{- end }}
{{- if .Values.trust.clusterCA }}
- name: NODE_USE_SYSTEM_CA
  value: "1"
- name: SSL_CERT_FILE
  value: /etc/tagferry-ca/cluster/ca-bundle.crt
{{- end }}
{{- if .Values.pullSecret }}
- name: REGISTRY_AUTH_FILE
  value: /run/secrets/registries/.pull/config.json
{{- end }}
{{- with .Values.env }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "tagferry.mounts" -}}
- name: config # the directory: a file alone would not follow the ConfigMap
  mountPath: /etc/tagferry
  readOnly: true
- name: secrets
  mountPath: /run/secrets/tagferry
  readOnly: true
- name: tmp
  mountPath: /tmp
{{- if .Values.pullSecret }}
- name: pull-secret
  mountPath: /run/secrets/registries/.pull
  readOnly: true
{{- end }}
{{- range .Values.credentials }}
- name: credentials-{{ .name }}
  mountPath: /run/secrets/registries/{{ .name }}
  readOnly: true
{{- end }}
{{- if .Values.trust.serviceCA }}
- name: ca-service
  mountPath: /etc/tagferry-ca/service
  readOnly: true
{{- end }}
{{- if .Values.trust.clusterCA }}
- name: ca-cluster
  mountPath: /etc/tagferry-ca/cluster
  readOnly: true
{{- end }}
{{- if .Values.redis.ca.configMap }}
- name: ca-redis
  mountPath: /etc/tagferry-ca/redis
  readOnly: true
{{- end }}
{{- range .Values.trust.configMaps }}
- name: ca-of-{{ .name }}
  mountPath: /etc/tagferry-ca/{{ .name }}
  readOnly: true
{{- end }}
{{- with .Values.volumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "tagferry.volumes" -}}
- name: config
  configMap:
    name: {{ include "tagferry.fullname" . }}
- name: secrets
  projected:
    defaultMode: 288 # 0440
    sources:
      - secret:
          name: {{ .Values.token.secret }}
          items:
            - key: {{ .Values.token.key }}
              path: token
      {{- if .Values.webhooks.enabled }}
      - secret:
          name: {{ .Values.webhooks.secret }}
          items:
            - key: {{ .Values.webhooks.key }}
              path: webhook
      {{- end }}
      {{- if .Values.webhooks.enabled }}
      {{- range .Values.webhooks.senders }}
      - secret:
          name: {{ .secret }}
          items:
            - key: {{ .key }}
              path: webhook-{{ .sender }}
      {{- end }}
      {{- end }}
      {{- if .Values.readToken.secret }}
      - secret:
          name: {{ .Values.readToken.secret }}
          items:
            - key: {{ .Values.readToken.key }}
              path: read-token
      {{- end }}
      {{- if or .Values.redis.enabled .Values.redis.url }}
      {{- with include "tagferry.redisPassword" . }}
      - secret:
          name: {{ . }}
          items:
            - key: {{ $.Values.redis.password.key }}
              path: redis-password
      {{- end }}
      {{- if and .Values.redis.enabled .Values.redis.tls.enabled }}
      - secret:
          name: {{ include "tagferry.redisTls" . }}
          items:
            - key: ca.crt
              path: redis-ca.crt
      {{- end }}
      - secret:
          name: {{ include "tagferry.jobKey" . }}
          items:
            - key: {{ .Values.jobKey.key }}
              path: job-key
      {{- end }}
- name: tmp
  emptyDir:
    sizeLimit: {{ .Values.tmp.sizeLimit }}
{{- with .Values.pullSecret }}
- name: pull-secret
  secret:
    secretName: {{ . }}
    defaultMode: 288 # 0440
    items:
      - key: .dockerconfigjson
        path: config.json
{{- end }}
{{- range .Values.credentials }}
- name: credentials-{{ .name }}
  secret:
    secretName: {{ .secret }}
    defaultMode: 288 # 0440
{{- end }}
{{- if .Values.trust.serviceCA }}
- name: ca-service
  configMap:
    name: {{ include "tagferry.fullname" . }}-service-ca
{{- end }}
{{- if .Values.trust.clusterCA }}
- name: ca-cluster
  configMap:
    name: {{ include "tagferry.fullname" . }}-cluster-ca
    items: # the pod waits until OpenShift has filled it
      - key: ca-bundle.crt
        path: ca-bundle.crt
{{- end }}
{{- with .Values.redis.ca.configMap }}
- name: ca-redis
  configMap:
    name: {{ . }}
{{- end }}
{{- range .Values.trust.configMaps }}
- name: ca-of-{{ .name }}
  configMap:
    name: {{ .configMap }}
{{- end }}
{{- with .Values.volumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The pod of the daemon or of a worker. Wants {root, component, args, resources}. */}}
{{- define "tagferry.pod" -}}
metadata:
  labels:
    {{- include "tagferry.selector" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
    {{- with .root.Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # Mirrors are read again as they change. Where it listens and its Redis are not: these alone restart it.
    tagferry/daemon-settings: {{ include "tagferry.daemon" .root | sha256sum | trunc 16 | quote }}
    {{- with .root.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "tagferry.serviceAccount" .root }}
  automountServiceAccountToken: {{ include "tagferry.needsCluster" .root | not | not }}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ add (include "tagferry.graceSeconds" .root | atoi) 15 }}
  securityContext:
    {{- include "tagferry.podSecurity" .root | nindent 4 }}
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "tagferry.placement" .root }}
  {{- . | nindent 2 }}
  {{- end }}
  containers:
    - name: tagferry
      image: {{ include "tagferry.image" (dict "image" .root.Values.image "tag" .root.Chart.AppVersion) | quote }}
      imagePullPolicy: {{ .root.Values.image.pullPolicy }}
      args: {{ .args | toJson }}
      {{- with include "tagferry.env" .root | trim }}
      env:
        {{- . | nindent 8 }}
      {{- end }}
      ports:
        - name: http
          containerPort: 8080
        - name: health
          containerPort: 8081
      # /readyz fails while Redis is away: that is no reason for a restart.
      startupProbe:
        httpGet: { path: /livez, port: health }
        periodSeconds: 2
        failureThreshold: 30
      livenessProbe:
        httpGet: { path: /livez, port: health }
        periodSeconds: 20
        timeoutSeconds: 5
        failureThreshold: 3
      readinessProbe:
        httpGet: { path: /readyz, port: health }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 2
      resources:
        {{- toYaml .resources | nindent 8 }}
      securityContext:
        {{- include "tagferry.containerSecurity" .root | nindent 8 }}
      volumeMounts:
        {{- include "tagferry.mounts" .root | nindent 8 }}
  volumes:
    {{- include "tagferry.volumes" .root | nindent 4 }}
{{- end }}
