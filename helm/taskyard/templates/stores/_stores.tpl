{{/* The head of a store's StatefulSet and its Service. Call with (dict "root" $ "store" "redis" "port" 6379). */}}
{{- define "taskyard.storeService" -}}
{{- $labels := dict "root" .root "component" .store }}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "taskyard.fullname" .root }}-{{ .store }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "taskyard.labels" $labels | nindent 4 }}
spec:
  clusterIP: None
  # Members of etcd look for each other before they are ready.
  publishNotReadyAddresses: true
  selector:
    {{- include "taskyard.selectorLabels" $labels | nindent 4 }}
  ports:
    {{- range $name, $port := .ports }}
    - {name: {{ $name }}, port: {{ $port }}, targetPort: {{ $name }}}
    {{- end }}
{{- end -}}

{{/* The volume of a store's data. Call with (dict "of" values "root" $). Goes under the StatefulSet's spec. */}}
{{- define "taskyard.claim" -}}
{{- if .of.storage }}
volumeClaimTemplates:
  - metadata:
      name: data
    spec:
      accessModes: [ReadWriteOnce]
      {{- with .of.storageClass }}
      storageClassName: {{ . }}
      {{- end }}
      resources:
        requests: {storage: {{ .of.storage }}}
{{- end }}
{{- end -}}

{{- define "taskyard.dataVolume" -}}
{{- if not .storage }}
- name: data
  emptyDir: {}
{{- end }}
{{- end -}}
