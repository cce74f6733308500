package taskyard_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	taskyard "github.com/taskyard/taskyard/sdk/go"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// tracing is an application's, and tells each span that ended; or it panics.
type tracing struct {
	noop.TracerProvider
	ended chan tracedSpan
	fails bool
}

func (t *tracing) Tracer(string, ...trace.TracerOption) trace.Tracer { return &tracer{tracing: t} }

type tracer struct {
	noop.Tracer
	tracing *tracing
}

func (t *tracer) Start(ctx context.Context, name string, _ ...trace.SpanStartOption) (context.Context, trace.Span) {
	if t.tracing.fails {
		panic("no tracing today")
	}
	span := &tracedSpan{tracing: t.tracing, name: name, parent: trace.SpanContextFromContext(ctx)}
	return trace.ContextWithSpan(ctx, span), span
}

type tracedSpan struct {
	noop.Span
	tracing *tracing
	name    string
	parent  trace.SpanContext
	status  codes.Code
}

func (s *tracedSpan) SetStatus(code codes.Code, _ string) { s.status = code }
func (s *tracedSpan) End(...trace.SpanEndOption)          { s.tracing.ended <- *s }

func traced(t *testing.T, application *tracing, worker *taskyard.Worker, d *dispatcher) *stream {
	t.Helper()
	before := otel.GetTracerProvider()
	otel.SetTracerProvider(application)
	t.Cleanup(func() { otel.SetTracerProvider(before) })
	anything.Handle(worker, func(ctx taskyard.Context, what string) (any, error) {
		if _, within := trace.SpanFromContext(ctx).(*tracedSpan); !within && !application.fails {
			return nil, errors.New("no span")
		}
		if what == "fail" {
			return nil, errors.New(what)
		}
		return nil, nil
	})
	serve(t, worker)
	s, _ := d.welcomed()
	return s
}

func TestASampledTraceIsContinued(t *testing.T) {
	d := newDispatcher(t)
	application := &tracing{ended: make(chan tracedSpan, 10)}
	s := traced(t, application, taskyard.NewWorker(options(d)), d)
	for payload, status := range map[string]codes.Code{`"go"`: codes.Unset, `"fail"`: codes.Error} {
		assignment := task(payload, "anything", payload)
		assignment.Traceparent = traceparent
		s.assign(assignment)
		s.finished()
		span := within(t, "a span", application.ended)
		if span.name != "run anything" || span.status != status {
			t.Errorf("the span is %q with status %v", span.name, span.status)
		}
		if parent := "00-" + span.parent.TraceID().String() + "-" + span.parent.SpanID().String() + "-01"; parent != traceparent {
			t.Errorf("its parent is %s", parent)
		}
	}
	for _, other := range []string{"", "nonsense", traceparent[:53] + "00", "00-" + traceparent[36:] + traceparent[:33]} {
		assignment := task("t"+other, "anything", `"go"`)
		assignment.Traceparent = other
		s.assign(assignment)
		s.finished()
	}
	if len(application.ended) != 0 {
		t.Error("there is a span of a trace that is not sampled")
	}
}

// angry is an application's log that panics.
type angry struct{ slog.Handler }

func (angry) Enabled(context.Context, slog.Level) bool  { return true }
func (angry) Handle(context.Context, slog.Record) error { panic("no log today") }

func TestTracingAndLoggingThatPanicTouchNoAttempt(t *testing.T) {
	d := newDispatcher(t)
	settings := options(d)
	settings.Logger = slog.New(angry{})
	s := traced(t, &tracing{fails: true}, taskyard.NewWorker(settings), d)
	for payload, want := range map[string]string{`"go"`: "null", `"fail"`: "Error: fail (retryable: true)"} {
		assignment := task(payload, "anything", payload)
		assignment.Traceparent = traceparent
		s.assign(assignment)
		if got := described(s.finished()); got != want {
			t.Errorf("%s ended with %s", payload, got)
		}
	}
}
