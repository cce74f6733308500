package main

import (
	"context"
	"log/slog"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// teller tells every line that is logged.
type teller struct{ attrs []slog.Attr }

func (t teller) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

func (t teller) Handle(_ context.Context, record slog.Record) error {
	fields := fault{}
	keep := func(attr slog.Attr) bool {
		fields[attr.Key] = attr.Value.Any()
		return true
	}
	for _, attr := range t.attrs {
		keep(attr)
	}
	record.Attrs(keep)
	tell("log", fault{"level": record.Level.String(), "message": record.Message, "fields": fields})
	return nil
}

func (t teller) WithAttrs(attrs []slog.Attr) slog.Handler {
	return teller{append(t.attrs[:len(t.attrs):len(t.attrs)], attrs...)}
}

func (t teller) WithGroup(string) slog.Handler { return t }

// spans is a tracer provider that tells every span that has ended.
type spans struct{ noop.TracerProvider }

func (spans) Tracer(string, ...trace.TracerOption) trace.Tracer { return tracer{} }

type tracer struct{ noop.Tracer }

var spanNumber atomic.Uint64

func (tracer) Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	parent := trace.SpanContextFromContext(ctx)
	config := trace.SpanContextConfig{TraceID: parent.TraceID(), TraceFlags: parent.TraceFlags()}
	number := spanNumber.Add(1)
	for i := range config.SpanID {
		config.SpanID[i] = byte(number >> (8 * i))
	}
	begun := &span{name: name, parent: parent, own: trace.NewSpanContext(config), attributes: fault{}}
	settings := trace.NewSpanStartConfig(options...)
	begun.SetAttributes(settings.Attributes()...)
	return trace.ContextWithSpan(ctx, begun), begun
}

type span struct {
	noop.Span
	name        string
	parent, own trace.SpanContext
	attributes  fault
	status      codes.Code
}

func (s *span) SpanContext() trace.SpanContext { return s.own }

func (s *span) IsRecording() bool { return true }

func (s *span) SetStatus(code codes.Code, _ string) { s.status = code }

func (s *span) SetAttributes(attributes ...attribute.KeyValue) {
	for _, one := range attributes {
		s.attributes[string(one.Key)] = one.Value.AsInterface()
	}
}

func (s *span) End(...trace.SpanEndOption) {
	ended := fault{
		"name": s.name, "trace_id": s.parent.TraceID().String(), "parent_span_id": s.parent.SpanID().String(),
		"attributes": s.attributes,
	}
	switch s.status {
	case codes.Ok:
		ended["status"] = "OK"
	case codes.Error:
		ended["status"] = "ERROR"
	}
	tell("span", ended)
}
