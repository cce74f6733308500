{{/* What the schema can't say. */}}
{{- define "taskyard.checkValues" -}}
{{- if .Values.controlPlane.enabled -}}
{{- range $store := list "postgres" "redis" -}}
{{- $of := index $.Values $store -}}
{{- $given := list $of.existingSecret $of.url | compact | len -}}
{{- if and $of.builtin.enabled (gt $given 0) -}}
{{- fail (printf "%s: you gave one of your own; set %s.builtin.enabled to false" $store $store) -}}
{{- else if and (not $of.builtin.enabled) (ne $given 1) -}}
{{- fail (printf "%s: give either existingSecret or url, or set %s.builtin.enabled to true" $store $store) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.etcd.builtin.enabled .Values.etcd.endpoints -}}
{{- fail "etcd: you gave endpoints of your own; set etcd.builtin.enabled to false" -}}
{{- else if not (or .Values.etcd.builtin.enabled .Values.etcd.endpoints) -}}
{{- fail "etcd: give endpoints, or set etcd.builtin.enabled to true" -}}
{{- end -}}
{{- if and (eq (include "taskyard.migrationMode" .) "hook") .Values.postgres.builtin.enabled -}}
{{- fail "migrations.mode: hook runs before the built-in Postgres exists; use initContainer" -}}
{{- end -}}
{{- end -}}
{{- range $name := keys .Values.workers -}}
{{- $pool := include "taskyard.pool" (dict "root" $ "pool" $name) | fromYaml -}}
{{- if and $pool.enabled (not $.Values.controlPlane.enabled) (not $pool.dispatchers) -}}
{{- fail (printf "workers.%s: with controlPlane.enabled false, workerDefaults.dispatchers must say where dispatchers are" $name) -}}
{{- end -}}
{{- if and (eq $pool.autoscaling.mode "hpa") (lt (int $pool.autoscaling.minReplicas) 1) -}}
{{- fail (printf "workers.%s.autoscaling.minReplicas: only keda scales to zero" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
