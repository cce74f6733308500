package taskyard

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	pb "github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

const maxProgressMessage = 1000

// Context is what a handler knows about the attempt that it runs. It ends when the handler is told to stop; why, tells
// context.Cause: ErrCancelled, ErrTimedOut, ErrLost or ErrShutdown.
type Context struct {
	context.Context
	run *run
}

// run is what a Context tells.
type run struct {
	// Only what is read here is of the assignment: it never changes.
	taskID, taskType, queue, traceparent string
	attempt, failures, crashes           int32
	createdAt                            time.Time
	deadline                             time.Time
	progress                             func(*pb.Progress)
	draining                             <-chan struct{}
}

// Token is the fencing token: hand it to whatever must refuse an older attempt.
type Token struct {
	TaskID  string
	Attempt int
}

func (t Token) String() string { return fmt.Sprintf("%s/%d", t.TaskID, t.Attempt) }

// TaskID is the task's id.
func (c Context) TaskID() string { return c.run.taskID }

// Attempt counts the task's attempts. Of two attempts the later one has the higher number.
func (c Context) Attempt() int { return int(c.run.attempt) }

// Token is TaskID and Attempt, which no other run of any handler has.
func (c Context) Token() Token { return Token{c.run.taskID, int(c.run.attempt)} }

// Type is the task's type.
func (c Context) Type() string { return c.run.taskType }

// Queue is the queue that the task came by.
func (c Context) Queue() string { return c.run.queue }

// Failures counts earlier attempts whose handler failed.
func (c Context) Failures() int { return int(c.run.failures) }

// Crashes counts earlier attempts whose worker was lost.
func (c Context) Crashes() int { return int(c.run.crashes) }

// CreatedAt is when the task was submitted.
func (c Context) CreatedAt() time.Time { return c.run.createdAt }

// Traceparent is the submitter's W3C trace context; empty if there was none.
func (c Context) Traceparent() string { return c.run.traceparent }

// Draining is closed once the worker takes no more tasks. The handler may go on until its context ends.
func (c Context) Draining() <-chan struct{} { return c.run.draining }

// Deadline is when the attempt times out, if it does.
func (c Context) Deadline() (time.Time, bool) {
	deadline, ok := c.Context.Deadline()
	if own := c.run.deadline; !own.IsZero() && (!ok || own.Before(deadline)) {
		return own, true
	}
	return deadline, ok
}

// Progress reports how far the work has come, 0 to 1. It is cheap: only the latest of each half second is sent. The message
// is cut at 1000 characters.
func (c Context) Progress(fraction float64, message string) error {
	if !(fraction >= 0 && fraction <= 1) {
		return fmt.Errorf("fraction must be 0 to 1, got %v", fraction)
	}
	c.run.progress(&pb.Progress{Fraction: fraction, Message: text(message, maxProgressMessage)})
	return nil
}

// WithContext is the same attempt with a context derived from this one, e.g. with more values.
func (c Context) WithContext(derived context.Context) Context { return Context{derived, c.run} }

type contextKey struct{}

// Value finds the attempt itself, for FromContext.
func (c Context) Value(key any) any {
	if key == (contextKey{}) {
		return c.run
	}
	return c.Context.Value(key)
}

// FromContext is the attempt that a context belongs to, however it was derived from a handler's Context.
func FromContext(ctx context.Context) (Context, bool) {
	if own, ok := ctx.(Context); ok {
		return own, true
	}
	run, ok := ctx.Value(contextKey{}).(*run)
	return Context{ctx, run}, ok
}

// text is UTF-8 of at most so many characters.
func text(whole string, limit int) string {
	if len(whole) > limit {
		at := 0
		for range limit {
			if at >= len(whole) {
				break
			}
			_, size := utf8.DecodeRuneInString(whole[at:])
			at += size
		}
		whole = whole[:at]
	}
	return strings.ToValidUTF8(whole, "\uFFFD")
}
