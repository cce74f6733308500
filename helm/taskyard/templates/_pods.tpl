{{/* What every pod begins with. Call with (dict "root" $ "account" "name" ["contexts" {…}]). No part but deletion costs needs a token. */}}
{{- define "taskyard.podBasics" -}}
serviceAccountName: {{ .account }}
automountServiceAccountToken: {{ default false .token }}
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  {{- toYaml (default .root.Values.podSecurityContext .contexts) | nindent 2 }}
{{- end -}}

{{/* Where pods may run. Call with (dict "root" $ "of" values "selector" labels). */}}
{{- define "taskyard.placement" -}}
{{- with .of.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .of.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .of.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .of.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
{{- $zone := dict "maxSkew" 1 "topologyKey" "topology.kubernetes.io/zone" "whenUnsatisfiable" "ScheduleAnyway" }}
{{- $node := dict "maxSkew" 1 "topologyKey" "kubernetes.io/hostname" "whenUnsatisfiable" "ScheduleAnyway" }}
{{- $selector := dict "labelSelector" (dict "matchLabels" (fromYaml .selector)) "matchLabelKeys" (list "pod-template-hash") }}
{{- range default (list $zone $node) .of.topologySpreadConstraints }}
  - {{- toYaml (merge (deepCopy .) $selector) | nindent 4 }}
{{- end }}
{{- end -}}

{{/* preStop plus drain plus what ends after it; more on request, less is refused. Call with (dict "of" values "drain" 20 "name" "dispatcher"). */}}
{{- define "taskyard.grace" -}}
{{- $least := add .of.preStopSeconds .drain 15 | int -}}
{{- $wanted := int .of.terminationGracePeriodSeconds -}}
{{- if and $wanted (lt $wanted $least) -}}
{{- fail (printf "%s.terminationGracePeriodSeconds: %d is too short, stopping may take %d" .name $wanted $least) -}}
{{- end -}}
{{- default $least $wanted -}}
{{- end -}}

{{/* Leaves the Services before SIGTERM; no shell is needed. */}}
{{- define "taskyard.preStop" -}}
{{- if gt (int .preStopSeconds) 0 }}
lifecycle:
  preStop:
    sleep:
      seconds: {{ .preStopSeconds }}
{{- end }}
{{- end -}}

{{/* Liveness asks the process' own loop only, over the gRPC port that it lives by. */}}
{{- define "taskyard.serverProbes" -}}
startupProbe:
  grpc: {port: {{ .grpc }}, service: liveness}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  grpc: {port: {{ .grpc }}, service: liveness}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: {{ .root.Values.liveness.failureThreshold }}
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- end -}}

{{/* Pod and node appear in logs, attempts, metrics and traces. */}}
{{- define "taskyard.whereabouts" -}}
- name: TASKYARD_POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: TASKYARD_NODE_NAME
  valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
{{- end -}}

{{/* Where telemetry goes, and from whom; comes after the whereabouts. Empty if it goes nowhere. */}}
{{- define "taskyard.otlp" -}}
{{- with .Values.telemetry.otlpEndpoint -}}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
- name: OTEL_TRACES_SAMPLER
  value: parentbased_traceidratio
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ $.Values.telemetry.samplingRatio | quote }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: k8s.namespace.name={{ $.Release.Namespace }},k8s.node.name=$(TASKYARD_NODE_NAME),k8s.pod.name=$(TASKYARD_POD_NAME)
{{- end }}
{{- end -}}

{{/* Call with (dict "root" $ "made" "stores"): which of the chart's Secrets has it, if none of yours does. */}}
{{- define "taskyard.postgresUrl" -}}
{{- $postgres := .root.Values.postgres -}}
- name: TASKYARD_POSTGRES_URL
  valueFrom:
    secretKeyRef:
      name: {{ default (printf "%s-%s" (include "taskyard.fullname" .root) .made) $postgres.existingSecret }}
      key: {{ ternary $postgres.existingSecretKey "postgres-url" (ne $postgres.existingSecret "") }}
{{- end -}}

{{/* The environment of scheduler and dispatcher. Call with (dict "root" $ "of" values). */}}
{{- define "taskyard.serverEnv" -}}
{{- $redis := .root.Values.redis -}}
{{- $etcd := .root.Values.etcd -}}
{{ include "taskyard.whereabouts" . }}
- name: TASKYARD_CONFIG
  value: /etc/taskyard/config/taskyard.yaml
{{ include "taskyard.postgresUrl" (dict "root" .root "made" "stores") }}
- name: TASKYARD_REDIS_URL
  valueFrom:
    secretKeyRef:
      name: {{ default (printf "%s-stores" (include "taskyard.fullname" .root)) $redis.existingSecret }}
      key: {{ ternary $redis.existingSecretKey "redis-url" (ne $redis.existingSecret "") }}
- name: TASKYARD_ETCD_ENDPOINTS
  value: {{ include "taskyard.etcdEndpoints" .root | quote }}
{{- if $etcd.auth.existingSecret }}
- name: TASKYARD_ETCD_USER
  valueFrom: {secretKeyRef: {name: {{ $etcd.auth.existingSecret }}, key: {{ $etcd.auth.userKey }}}}
- name: TASKYARD_ETCD_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ $etcd.auth.existingSecret }}, key: {{ $etcd.auth.passwordKey }}}}
{{- end }}
{{- if $etcd.tls.existingSecret }}
- name: TASKYARD_ETCD_CA_FILE
  value: /etc/taskyard/tls/etcd/{{ $etcd.tls.caKey }}
{{- if and $etcd.tls.certKey $etcd.tls.keyKey }}
- name: TASKYARD_ETCD_CERT_FILE
  value: /etc/taskyard/tls/etcd/{{ $etcd.tls.certKey }}
- name: TASKYARD_ETCD_KEY_FILE
  value: /etc/taskyard/tls/etcd/{{ $etcd.tls.keyKey }}
{{- end }}
{{- end }}
- name: TASKYARD_DRAIN_TIMEOUT
  value: {{ .of.drainTimeout | quote }}
- name: TASKYARD_LOG_LEVEL
  value: {{ .root.Values.logs.level }}
- name: TASKYARD_LOG_FORMAT
  value: {{ .root.Values.logs.format }}
- name: TASKYARD_LOG_TRANSITIONS
  value: {{ ternary "on" "off" .root.Values.logs.transitions | quote }}
{{- with include "taskyard.otlp" .root }}
{{ . }}
{{- end }}
{{- with .of.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "taskyard.etcdEndpoints" -}}
{{- if .Values.etcd.builtin.enabled -}}
{{- $name := printf "%s-etcd" (include "taskyard.fullname" .) -}}
{{- $members := list -}}
{{- range until (int .Values.etcd.builtin.replicaCount) -}}
{{- $members = append $members (printf "%s-%d.%s.%s.svc:2379" $name . $name $.Release.Namespace) -}}
{{- end -}}
{{- join "," $members -}}
{{- else -}}
{{- join "," .Values.etcd.endpoints -}}
{{- end -}}
{{- end -}}

{{/* Files that pods of the server see. Call with (dict "root" $ "stores" (list "postgres" …)). */}}
{{- define "taskyard.tlsVolumes" -}}
{{- range $store := .stores }}
{{- with (index $.root.Values $store).tls.existingSecret }}
- name: {{ $store }}-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end }}
{{- end -}}

{{- define "taskyard.tlsMounts" -}}
{{- range $store := .stores }}
{{- if (index $.root.Values $store).tls.existingSecret }}
- name: {{ $store }}-tls
  mountPath: /etc/taskyard/tls/{{ $store }}
  readOnly: true
{{- end }}
{{- end }}
{{- end -}}

{{- define "taskyard.scratch" -}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- end -}}

{{/* The container that migrates, as init container and in the Job. Call with (dict "root" $ "made" "stores"). */}}
{{- define "taskyard.migrateContainer" -}}
{{- $values := .root.Values -}}
- name: migrate
  image: {{ include "taskyard.image" (dict "root" .root "image" $values.image) }}
  imagePullPolicy: {{ $values.image.pullPolicy }}
  args: [migrate]
  env:
    {{- include "taskyard.postgresUrl" . | nindent 4 }}
  resources:
    {{- toYaml $values.migrations.resources | nindent 4 }}
  securityContext:
    {{- toYaml $values.securityContext | nindent 4 }}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
    {{- include "taskyard.tlsMounts" (dict "root" .root "stores" (list "postgres")) | nindent 4 }}
{{- end -}}

{{- define "taskyard.migrationMode" -}}
{{- default (ternary "initContainer" "hook" .Values.postgres.builtin.enabled) .Values.migrations.mode -}}
{{- end -}}
