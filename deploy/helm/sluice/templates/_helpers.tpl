{{/* Names and labels that several templates share, and the configuration. */}}

{{- define "sluice.name" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "sluice.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "sluice.labels" -}}
{{ include "sluice.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "sluice.tokenSecret" -}}
{{- .Values.adminTokenSecret | default (printf "%s-admin" (include "sluice.name" .)) -}}
{{- end -}}

{{- define "sluice.config" -}}
{{- if .Values.config -}}
{{ .Values.config }}
{{- else -}}
{{- with .Values.hostname -}}
hostname = {{ . | toJson }}
{{ end -}}
[[receive]]
name = "apps"
listen = ["0.0.0.0:2525"]
{{- with .Values.relayNetworks }}
relay_networks = {{ concat (list "127.0.0.0/8" "::1/128") . | uniq | toJson }}
{{- end }}
{{- with .Values.senderDomains }}
sender_domains = {{ . | toJson }}
{{- end }}

[[send]]
{{- if .Values.smartHosts }}
name = "smart-host"
route = "smart-host"
smart_hosts = {{ .Values.smartHosts | toJson }}
{{- with .Values.username }}
username = {{ . | toJson }}
password = "${SLUICE_SMTP_PASSWORD}"
{{- end }}
{{- else }}
name = "internet"
route = "mx"
{{- end }}

[queue]
drain_timeout = "{{ .Values.drain.timeoutSeconds }}s"

[admin]
listen = "0.0.0.0:8025"
token = "${SLUICE_ADMIN_TOKEN}"
{{- with .Values.extraConfig }}

{{ . }}
{{- end }}
{{- end }}
{{- end -}}
