package taskyard

import (
	"errors"
	"fmt"
	"reflect"
)

// Why a handler is told to stop: context.Cause of its context.
var (
	// ErrCancelled: a client has cancelled the task.
	ErrCancelled = errors.New("the task was cancelled")
	// ErrShutdown: the worker stops, and its grace is over. The task runs again elsewhere at once.
	ErrShutdown = errors.New("the worker shuts down")
	// ErrTimedOut: the attempt has run for as long as the task allows.
	ErrTimedOut = errors.New("the attempt ran out of time")
	// ErrLost: the attempt is another worker's by now; whatever this one does is of no use.
	ErrLost = errors.New("the attempt was lost")
)

// ErrRefused is what Run ends with where dispatchers refuse this worker for good; the message says why.
var ErrRefused = errors.New("refused by the dispatcher")

// Types of errors that all SDKs share.
const (
	typeTimeout        = "TIMEOUT"
	typePanic          = "PANIC"
	typeNoHandler      = "NO_HANDLER"
	typeInvalidPayload = "INVALID_PAYLOAD"
	typeResultNotJSON  = "RESULT_NOT_JSON"
	typeResultTooDeep  = "RESULT_TOO_DEEP"
	typeResultTooLarge = "RESULT_TOO_LARGE"
)

// NonRetryable says of an error that another attempt cannot help: the task fails at once. The error's type and message
// stay what they were.
func NonRetryable(err error) error {
	if err == nil {
		return nil
	}
	return &nonRetryable{err}
}

// NonRetryablef is NonRetryable(fmt.Errorf(…)).
func NonRetryablef(format string, args ...any) error {
	return &nonRetryable{fmt.Errorf(format, args...)}
}

type nonRetryable struct{ error }

func (e *nonRetryable) Unwrap() error { return e.error }

func isNonRetryable(err error) bool {
	var marked *nonRetryable
	var invalid *payloadError
	var broken *resultError
	return errors.As(err, &marked) || errors.As(err, &invalid) || errors.As(err, &broken)
}

// payloadError: a payload that the handler's type can't hold.
type payloadError struct{ error }

func (e *payloadError) Unwrap() error     { return e.error }
func (e *payloadError) ErrorType() string { return typeInvalidPayload }

// resultError: a result that can't be kept; another attempt would return the same.
type resultError struct{ kind, message string }

func (e *resultError) Error() string     { return e.message }
func (e *resultError) ErrorType() string { return e.kind }

// errorType is the stable word that an error has for those who watch tasks: what its ErrorType method says, else the
// name of the first type in its chain that is its author's own, else "Error".
func errorType(err error) string {
	var typed interface{ ErrorType() string }
	if errors.As(err, &typed) {
		return typed.ErrorType()
	}
	if name := namedType(err); name != "" {
		return name
	}
	return "Error"
}

func namedType(err error) string {
	if err == nil {
		return ""
	}
	if name := ownName(reflect.TypeOf(err)); name != "" {
		return name
	}
	switch wrapper := err.(type) {
	case interface{ Unwrap() error }:
		return namedType(wrapper.Unwrap())
	case interface{ Unwrap() []error }:
		for _, inner := range wrapper.Unwrap() {
			if name := namedType(inner); name != "" {
				return name
			}
		}
	}
	return ""
}

// ownName is a type's name, unless it only wraps or says what a text would.
func ownName(kind reflect.Type) string {
	for kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	switch kind.PkgPath() {
	case "fmt", "errors":
		return ""
	}
	if kind == reflect.TypeFor[nonRetryable]() {
		return ""
	}
	return kind.Name()
}
