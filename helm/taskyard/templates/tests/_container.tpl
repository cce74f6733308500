{{/* The command line, against this release. Call with (dict "root" $ "of" the demo pool "args" list). */}}
{{- define "taskyard.testContainer" -}}
image: {{ include "taskyard.image" (dict "root" .root "image" .of.image) }}
imagePullPolicy: {{ .of.image.pullPolicy }}
args:
  {{- toYaml .args | nindent 2 }}
env:
  - name: TASKYARD_ADDRESS
    value: {{ include "taskyard.fullname" .root }}-scheduler-grpc.{{ .root.Release.Namespace }}.svc:7070
  - name: TASKYARD_NAMESPACE
    value: {{ .of.namespace }}
resources:
  requests: {cpu: 100m, memory: 64Mi}
  limits: {cpu: "1", memory: 128Mi}
securityContext:
  {{- toYaml .root.Values.securityContext | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
{{- end -}}
