package taskyard

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

// SubmitOption is what a submit takes besides type and payload. Only what can't be sent is refused by the client; all
// rules about values are the server's.
type SubmitOption func(*taskyardpb.TaskSpec) *Error

// Queue puts the task into a queue; "default" is the default.
func Queue(name string) SubmitOption {
	return func(spec *taskyardpb.TaskSpec) *Error { spec.Queue = name; return nil }
}

// Priority is 0 (lowest) to 10 (highest); 5 is the default.
func Priority(priority int) SubmitOption {
	return func(spec *taskyardpb.TaskSpec) *Error {
		sent := int32(priority)
		if int(sent) != priority {
			return invalid("priority", "must be 0 to 10")
		}
		spec.Priority = &sent
		return nil
	}
}

// Selector says which workers may run it, e.g. "io=ssd,region in (eu,us),!spot,memory_gb>=16".
func Selector(selector string) SubmitOption {
	return func(spec *taskyardpb.TaskSpec) *Error { spec.Selector = selector; return nil }
}

// IdempotencyKey makes submitting the same task again with the same key answer with the first one.
func IdempotencyKey(key string) SubmitOption {
	return func(spec *taskyardpb.TaskSpec) *Error {
		if key == "" {
			return invalid("idempotency_key", "must not be empty; leave it out for none")
		}
		spec.IdempotencyKey = key
		return nil
	}
}

// Delay is how long the task waits before it may start. Give it or RunAt, not both.
func Delay(delay time.Duration) SubmitOption {
	return func(spec *taskyardpb.TaskSpec) *Error { spec.Delay = durationpb.New(delay); return nil }
}

// RunAt is when the task may start. Give it or Delay, not both.
func RunAt(moment time.Time) SubmitOption {
	return func(spec *taskyardpb.TaskSpec) *Error { spec.RunAt = timestamppb.New(moment); return nil }
}

// ExpiresAt makes a task that hasn't started by then EXPIRED.
func ExpiresAt(moment time.Time) SubmitOption {
	return func(spec *taskyardpb.TaskSpec) *Error { spec.ExpiresAt = timestamppb.New(moment); return nil }
}

// Timeout is how long one attempt may run; there is no limit by default.
func Timeout(limit time.Duration) SubmitOption {
	return func(spec *taskyardpb.TaskSpec) *Error { spec.Timeout = durationpb.New(limit); return nil }
}

// Retry says how failures are retried; what it leaves out is as the queue has it.
func Retry(policy RetryPolicy) SubmitOption {
	return func(spec *taskyardpb.TaskSpec) *Error { spec.Retry = policy.message(); return nil }
}

// DependsOn names tasks that must succeed first.
func DependsOn(ids ...string) SubmitOption {
	return func(spec *taskyardpb.TaskSpec) *Error { spec.DependsOn = append(spec.DependsOn, ids...); return nil }
}

const (
	// NoJitter is a RetryPolicy.Jitter of none at all, since 0 is left out.
	NoJitter = -1.0
	// NoBackoff is a RetryPolicy's InitialBackoff or MaxBackoff of none at all, since 0 is left out.
	NoBackoff time.Duration = -1
)

// RetryPolicy says how failures are retried: retry n waits InitialBackoff * Multiplier^(n-1), at most MaxBackoff.
// A field left out takes the queue's default.
type RetryPolicy struct {
	// MaxAttempts is how many attempts may fail before the task is FAILED, 1 to 1000.
	MaxAttempts    int
	InitialBackoff time.Duration
	Multiplier     float64
	MaxBackoff     time.Duration
	// Jitter is the share of the backoff drawn at random: with 0.2, 10 s become 8 to 12 s.
	Jitter float64
}

func (p RetryPolicy) message() *taskyardpb.RetryPolicy {
	message := &taskyardpb.RetryPolicy{
		InitialBackoff: backoffMessage(p.InitialBackoff), MaxBackoff: backoffMessage(p.MaxBackoff),
	}
	if p.MaxAttempts != 0 {
		// What does not fit is out of the server's bounds either way.
		attempts := int32(max(min(p.MaxAttempts, 1<<31-1), -1<<31))
		message.MaxAttempts = &attempts
	}
	if p.Multiplier != 0 {
		message.Multiplier = &p.Multiplier
	}
	if p.Jitter == NoJitter {
		message.Jitter = new(float64)
	} else if p.Jitter != 0 {
		message.Jitter = &p.Jitter
	}
	return message
}

func backoffMessage(length time.Duration) *durationpb.Duration {
	switch length {
	case 0:
		return nil
	case NoBackoff:
		return &durationpb.Duration{}
	}
	return durationpb.New(length)
}

func policyOf(told *taskyardpb.RetryPolicy) *RetryPolicy {
	if told == nil {
		return nil
	}
	policy := &RetryPolicy{
		MaxAttempts: int(told.GetMaxAttempts()), InitialBackoff: backoffOf(told.InitialBackoff),
		Multiplier: told.GetMultiplier(), MaxBackoff: backoffOf(told.MaxBackoff), Jitter: told.GetJitter(),
	}
	if told.Jitter != nil && *told.Jitter == 0 {
		policy.Jitter = NoJitter
	}
	return policy
}

func backoffOf(told *durationpb.Duration) time.Duration {
	if told != nil && told.AsDuration() == 0 {
		return NoBackoff
	}
	return told.AsDuration()
}

// traceparent is the W3C trace context of the caller's span; empty if there is none.
func traceparent(ctx context.Context) string {
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() {
		return ""
	}
	return "00-" + span.TraceID().String() + "-" + span.SpanID().String() + "-" + span.TraceFlags().String()
}
