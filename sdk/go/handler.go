package taskyard

import (
	"fmt"
	"runtime"
	"strings"

	pb "github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

const (
	maxType    = 256
	maxMessage = 4096
	maxStack   = 16384
)

// handler runs a payload and answers with the result as JSON.
type handler func(ctx Context, payload []byte) ([]byte, error)

// Interceptor runs around every handler: it calls next, and may do so with a context of its own. What it returns is the
// attempt's error.
type Interceptor func(ctx Context, next func(Context) error) error

// intercepted is a handler with interceptors around it, the first one outermost.
func intercepted(inner handler, interceptors []Interceptor) handler {
	if len(interceptors) == 0 {
		return inner
	}
	return func(ctx Context, payload []byte) ([]byte, error) {
		result := null
		next := func(ctx Context) (err error) {
			result, err = inner(ctx, payload)
			return err
		}
		for i := len(interceptors) - 1; i >= 0; i-- {
			around, within := interceptors[i], next
			next = func(ctx Context) error { return around(ctx, within) }
		}
		return result, next(ctx)
	}
}

// call runs a handler, and answers with an error where it panics. It does not return where runtime.Goexit is called.
func call(function handler, ctx Context, payload []byte) (result []byte, err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{fmt.Sprint(value), stack()}
		}
	}()
	return function(ctx, payload)
}

// panicError: a handler panicked.
type panicError struct{ message, stack string }

func (e *panicError) Error() string     { return e.message }
func (e *panicError) ErrorType() string { return typePanic }

// stack tells where the panic that is being recovered from happened, innermost first, from the application's frames to
// where its handler was called.
func stack() string {
	var counters [64]uintptr
	frames := runtime.CallersFrames(counters[:runtime.Callers(3, counters[:])])
	var said strings.Builder
	for {
		frame, more := frames.Next()
		if strings.HasSuffix(frame.Function, "sdk/go.call") {
			break
		}
		if !strings.HasPrefix(frame.Function, "runtime.") {
			fmt.Fprintf(&said, "%s\n\t%s:%d\n", frame.Function, frame.File, frame.Line)
		}
		if !more {
			break
		}
	}
	return text(said.String(), maxStack)
}

// describe is an error as the scheduler keeps it.
func describe(err error) *pb.TaskError {
	told := &pb.TaskError{
		Type:      text(attempted(func() string { return errorType(err) }), maxType),
		Message:   text(attempted(err.Error), maxMessage),
		Retryable: !isNonRetryable(err),
	}
	if panicked, ok := err.(*panicError); ok {
		told.Stack = panicked.stack
	} else {
		told.Stack = text(attempted(func() string { return chain(err) }), maxStack)
	}
	if told.Type == "" {
		told.Type = "Error"
	}
	return told
}

// chain tells an error and what it wraps, outermost first: Go's errors have no stack, and this is what led to them.
func chain(err error) string {
	if err == nil {
		return ""
	}
	var said strings.Builder
	if _, mark := err.(*nonRetryable); !mark {
		fmt.Fprintf(&said, "%T: %s\n", err, err)
	}
	switch wrapper := err.(type) {
	case interface{ Unwrap() error }:
		said.WriteString(chain(wrapper.Unwrap()))
	case interface{ Unwrap() []error }:
		for _, inner := range wrapper.Unwrap() {
			said.WriteString(chain(inner))
		}
	}
	return said.String()
}

// attempted is what an application's error says of itself; its code may panic.
func attempted(tell func() string) (said string) {
	defer func() {
		if value := recover(); value != nil {
			said = fmt.Sprintf("<panic: %v>", value)
		}
	}()
	return tell()
}
