{{/*
The Deployment of a server role. Replicas keep nothing, so pods need no names of their own: a Deployment brings the new
one up before it takes an old one away, and workers always have a dispatcher to move to.
Call with (dict "root" $ "role" "dispatcher" "of" values "grpc" 7071 "http" 8081 "grpcName" "sessions").
*/}}
{{- define "taskyard.server" -}}
{{- $root := .root }}
{{- $labels := dict "root" $root "component" .role }}
{{- $stores := dict "root" $root "stores" (list "postgres" "redis" "etcd") }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "taskyard.fullname" $root }}-{{ .role }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "taskyard.labels" $labels | nindent 4 }}
spec:
  replicas: {{ .of.replicaCount }}
  revisionHistoryLimit: 5
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
  selector:
    matchLabels:
      {{- include "taskyard.selectorLabels" $labels | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "taskyard.labels" $labels | nindent 8 }}
        {{- with .of.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        kubectl.kubernetes.io/default-container: {{ .role }}
        checksum/config: {{ $root.Values.config | toJson | sha256sum }}
        {{- with .of.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      {{- include "taskyard.podBasics" (dict "root" $root "account" (include "taskyard.serviceAccountName" .)) | nindent 6 }}
      terminationGracePeriodSeconds: {{ include "taskyard.grace" (dict "of" .of "drain" .of.drainTimeout "name" .role) }}
      {{- include "taskyard.placement" (dict "root" $root "of" .of "selector" (include "taskyard.selectorLabels" $labels)) | nindent 6 }}
      {{- if eq (include "taskyard.migrationMode" $root) "initContainer" }}
      initContainers:
        {{- include "taskyard.migrateContainer" (dict "root" $root "made" "stores") | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ .role }}
          image: {{ include "taskyard.image" (dict "root" $root "image" $root.Values.image) }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [{{ .role }}]
          env:
            {{- include "taskyard.serverEnv" . | nindent 12 }}
          ports:
            - {name: {{ .grpcName }}, containerPort: {{ .grpc }}}
            - {name: http, containerPort: {{ .http }}}
          {{- include "taskyard.serverProbes" . | nindent 10 }}
          {{- include "taskyard.preStop" .of | nindent 10 }}
          resources:
            {{- toYaml .of.resources | nindent 12 }}
          securityContext:
            {{- toYaml $root.Values.securityContext | nindent 12 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            - {name: config, mountPath: /etc/taskyard/config, readOnly: true}
            {{- include "taskyard.tlsMounts" $stores | nindent 12 }}
      volumes:
        {{- include "taskyard.scratch" $root | nindent 8 }}
        - name: config
          configMap: {name: {{ include "taskyard.fullname" $root }}}
        {{- include "taskyard.tlsVolumes" $stores | nindent 8 }}
{{- end -}}

{{/* Call with (dict "root" $ "role" "scheduler" "of" values). */}}
{{- define "taskyard.serviceAccount" -}}
{{- if .of.serviceAccount.create }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "taskyard.serviceAccountName" . }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "taskyard.labels" (dict "root" .root "component" .component "pool" .pool) | nindent 4 }}
  {{- with .of.serviceAccount.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: false
{{- end }}
{{- end -}}

{{/* Call with (dict "root" $ "component" "scheduler" "name" "…" "of" values). */}}
{{- define "taskyard.podDisruptionBudget" -}}
{{- if .of.podDisruptionBudget.enabled }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "taskyard.labels" . | nindent 4 }}
spec:
  maxUnavailable: {{ .of.podDisruptionBudget.maxUnavailable }}
  # A pod that is not ready anyway must not keep a node from being drained.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "taskyard.selectorLabels" . | nindent 6 }}
{{- end }}
{{- end -}}
