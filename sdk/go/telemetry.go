package taskyard

import (
	"context"
	"log/slog"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	pb "github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

const instrumentation = "github.com/taskyard/taskyard/sdk/go"

// journal is the worker's log, which nothing that an application puts into its logger can turn against the worker.
type journal struct{ logger *slog.Logger }

func (j journal) log(level slog.Level, message string, fields ...slog.Attr) {
	// Whatever a handler of the application's raises, an attempt's result or the session must not go with it.
	defer func() { _ = recover() }()
	logger := j.logger
	if logger == nil {
		logger = slog.Default()
	}
	logger.LogAttrs(context.Background(), level, message, fields...)
}

func (a *attempt) fields(more ...slog.Attr) []slog.Attr {
	return append([]slog.Attr{
		slog.String("task_id", a.entry.TaskID),
		slog.Int("attempt", int(a.entry.Attempt)),
		slog.String("type", a.context.run.taskType),
	}, more...)
}

func (s *service) logFailure(a *attempt, failure *pb.TaskError) {
	s.journal.log(slog.LevelWarn, "attempt failed", a.fields(
		slog.String("error_type", failure.Type), slog.String("error", failure.Message),
		slog.Bool("retryable", failure.Retryable),
	)...)
}

var traceContext propagation.TraceContext

// remoteSpan is the submitter's span; not valid if there is none.
func remoteSpan(traceparent string) trace.SpanContext {
	carrier := propagation.MapCarrier{"traceparent": traceparent}
	return trace.SpanContextFromContext(traceContext.Extract(context.Background(), carrier))
}

// isSampled tells whether a W3C traceparent may have the sampled flag: 00-<32 hex>-<16 hex>-<flags>.
func isSampled(traceparent string) bool {
	return len(traceparent) >= 55 && strings.IndexByte("13579bdf", traceparent[54]) >= 0
}

func leaveNothing(error) {}

// enterSpan begins a span around a handler, child of the submitter's if that one is sampled, and answers how to end it.
// Without an OpenTelemetry SDK that the application has set up it records nothing; what such an SDK raises is logged and
// does not touch the attempt.
func (s *service) enterSpan(ctx Context) (within Context, leave func(error)) {
	if !isSampled(ctx.run.traceparent) {
		return ctx, leaveNothing
	}
	parent := remoteSpan(ctx.run.traceparent)
	within, leave = ctx, leaveNothing
	s.guardTracing(func() {
		if !parent.IsValid() {
			return
		}
		derived, span := otel.Tracer(instrumentation).Start(
			trace.ContextWithRemoteSpanContext(ctx, parent), "run "+ctx.Type(),
			trace.WithSpanKind(trace.SpanKindConsumer),
			trace.WithAttributes(
				attribute.String("taskyard.task.id", ctx.TaskID()),
				attribute.Int("taskyard.task.attempt", ctx.Attempt()),
				attribute.String("taskyard.task.type", ctx.Type()),
				attribute.String("taskyard.queue", ctx.Queue()),
			),
		)
		within = ctx.WithContext(derived)
		leave = func(err error) { s.guardTracing(func() { endSpan(span, err) }) }
	})
	return within, leave
}

func endSpan(span trace.Span, err error) {
	if err != nil {
		message := attempted(err.Error)
		span.SetStatus(codes.Error, message)
		span.RecordError(err)
	}
	span.End()
}

func (s *service) guardTracing(do func()) {
	defer func() {
		if value := recover(); value != nil {
			s.journal.log(slog.LevelWarn, "tracing failed", slog.Any("panic", value))
		}
	}()
	do()
}
