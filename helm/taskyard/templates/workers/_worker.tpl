{{/* Everything of one pool. Call with (dict "root" $ "pool" "demo" "of" the pool's values). */}}
{{- define "taskyard.workerDeployment" -}}
{{- $root := .root }}
{{- $of := .of }}
{{- $labels := dict "root" $root "component" "worker" "pool" .pool }}
{{- $account := dict "root" $root "role" (printf "worker-%s" .pool) "of" $of }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "taskyard.fullname" $root }}-worker-{{ .pool }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "taskyard.labels" $labels | nindent 4 }}
spec:
  {{- if eq $of.autoscaling.mode "none" }}
  replicas: {{ $of.replicaCount }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 25%}
  selector:
    matchLabels:
      {{- include "taskyard.selectorLabels" $labels | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "taskyard.labels" $labels | nindent 8 }}
        {{- with $of.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with $of.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "taskyard.podBasics" (dict "root" $root "account" (include "taskyard.serviceAccountName" $account)) | nindent 6 }}
      # On SIGTERM a worker takes nothing new, finishes within its grace and hands the rest back.
      terminationGracePeriodSeconds: {{ include "taskyard.grace" (dict "of" $of "drain" $of.grace "name" (printf "workers.%s" .pool)) }}
      {{- include "taskyard.placement" (dict "root" $root "of" $of "selector" (include "taskyard.selectorLabels" $labels)) | nindent 6 }}
      containers:
        - name: worker
          image: {{ include "taskyard.image" (dict "root" $root "image" $of.image) }}
          imagePullPolicy: {{ $of.image.pullPolicy }}
          {{- with $of.command }}
          command:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          {{- with $of.args }}
          args:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          env:
            {{- include "taskyard.whereabouts" . | nindent 12 }}
            - {name: TASKYARD_WORKER_NAME, value: $(TASKYARD_POD_NAME)}
            - name: TASKYARD_DISPATCHERS
              value: {{ default (include "taskyard.dispatchers" $root) $of.dispatchers | quote }}
            - name: TASKYARD_NAMESPACE
              value: {{ $of.namespace }}
            - name: TASKYARD_WORKER_LABELS
              value: {{ include "taskyard.workerLabels" $of | quote }}
            - name: TASKYARD_WORKER_SLOTS
              value: {{ $of.slots | quote }}
            - name: TASKYARD_WORKER_GRACE
              value: {{ $of.grace | quote }}
            - name: TASKYARD_WORKER_HTTP_ADDRESS
              value: 0.0.0.0:8082
            {{- with include "taskyard.otlp" $root }}
            {{- . | nindent 12 }}
            {{- end }}
            {{- with $of.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            - {name: http, containerPort: 8082}
          startupProbe:
            httpGet: {path: /livez, port: http}
            periodSeconds: 2
            failureThreshold: 60
          livenessProbe:
            httpGet: {path: /livez, port: http}
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: {{ $root.Values.liveness.failureThreshold }}
          readinessProbe:
            httpGet: {path: /readyz, port: http}
            periodSeconds: 5
            timeoutSeconds: 3
          {{- include "taskyard.preStop" $of | nindent 10 }}
          resources:
            {{- toYaml $of.resources | nindent 12 }}
          securityContext:
            {{- toYaml $root.Values.securityContext | nindent 12 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            {{- with $of.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        {{- include "taskyard.scratch" $root | nindent 8 }}
        {{- with $of.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end -}}

{{/* Labels as workers and the backlog's address spell them: a=1,b=2. */}}
{{- define "taskyard.workerLabels" -}}
{{- $pairs := list -}}
{{- range $key, $value := .labels -}}
{{- $pairs = append $pairs (printf "%s=%v" $key $value) -}}
{{- end -}}
{{- join "," $pairs -}}
{{- end -}}

{{- define "taskyard.scaleDown" -}}
scaleDown:
  stabilizationWindowSeconds: {{ .autoscaling.scaleDownStabilization }}
{{- end -}}
