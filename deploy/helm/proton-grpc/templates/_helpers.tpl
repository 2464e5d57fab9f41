{{- define "proton-grpc.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "proton-grpc.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* .suffix tells things of one kind apart. */ -}}
{{- define "proton-grpc.metadata" -}}
name: {{ include "proton-grpc.name" . }}{{ .suffix }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "proton-grpc.selector" . | nindent 2 }}
  app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
{{- end }}

{{- define "proton-grpc.callers" -}}
{{- if .Values.callers.secret }}{{ .Values.callers.secret }}{{ else if .Values.callers.file }}{{ include "proton-grpc.name" . }}-callers{{ end }}
{{- end }}

{{- /* The kubelet's gRPC probes speak no TLS. */ -}}
{{- define "proton-grpc.probe" -}}
{{- if .Values.tls.secret -}}
tcpSocket: {port: grpc}
{{- else -}}
grpc: {port: 50051}
{{- end }}
{{- end }}
