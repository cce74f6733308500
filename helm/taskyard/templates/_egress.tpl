{{- define "taskyard.egressDns" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
{{- end -}}

{{- define "taskyard.serverEgress" -}}
{{- if .Values.networkPolicy.egress.enabled }}
egress:
  {{- include "taskyard.egressDns" . | nindent 2 }}
  {{- range $store, $port := dict "postgres" 5432 "redis" 6379 "etcd" 2379 }}
  {{- if (index $.Values $store).builtin.enabled }}
  - ports: [{port: {{ $port }}}]
    to:
      - podSelector:
          matchLabels:
            {{- include "taskyard.selectorLabels" (dict "root" $ "component" $store) | nindent 12 }}
  {{- end }}
  {{- end }}
  {{- with .Values.networkPolicy.egress.controlPlane }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}
