{{- define "taskyard.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough that every component's name fits behind it. */}}
{{- define "taskyard.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What selects pods. Call with (dict "root" $ "component" "scheduler" ["pool" "demo"]). */}}
{{- define "taskyard.selectorLabels" -}}
app.kubernetes.io/name: {{ include "taskyard.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- with .pool }}
taskyard.io/pool: {{ . }}
{{- end }}
{{- end -}}

{{- define "taskyard.labels" -}}
{{ include "taskyard.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: taskyard
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Call with (dict "root" $ "image" .Values.image). */}}
{{- define "taskyard.image" -}}
{{- $registry := default .image.registry .root.Values.imageRegistry -}}
{{- $name := printf "%s/%s" $registry .image.repository -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Call with (dict "root" $ "role" "scheduler" "of" .Values.scheduler). */}}
{{- define "taskyard.serviceAccountName" -}}
{{- $made := printf "%s-%s" (include "taskyard.fullname" .root) .role -}}
{{- default (ternary $made "default" .of.serviceAccount.create) .of.serviceAccount.name -}}
{{- end -}}

{{/* A pool's values: the defaults, overridden. Call with (dict "root" $ "pool" "demo"). */}}
{{- define "taskyard.pool" -}}
{{- mustMergeOverwrite (deepCopy .root.Values.workerDefaults) (deepCopy (default dict (index .root.Values.workers .pool))) | toYaml -}}
{{- end -}}

{{/* "yes" if any pool runs. */}}
{{- define "taskyard.anyPool" -}}
{{- $any := dict -}}
{{- range $name := keys .Values.workers -}}
{{- if (include "taskyard.pool" (dict "root" $ "pool" $name) | fromYaml).enabled }}{{ $_ := set $any "is" "yes" }}{{ end -}}
{{- end -}}
{{- default "" $any.is -}}
{{- end -}}

{{- define "taskyard.dispatchers" -}}
{{- printf "%s-dispatcher.%s.svc:7071" (include "taskyard.fullname" .) .Release.Namespace -}}
{{- end -}}

{{- define "taskyard.schedulerUrl" -}}
{{- printf "http://%s-scheduler.%s.svc:8080" (include "taskyard.fullname" .) .Release.Namespace -}}
{{- end -}}
