package taskyard

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// What kind of error a call ended with, to ask with errors.Is. The *Error that has it tells more.
var (
	// ErrInvalidArgument: a field of the request is wrong; sending it again can't help.
	ErrInvalidArgument = errors.New("invalid argument")
	// ErrNotFound: nothing has this id.
	ErrNotFound = errors.New("not found")
	// ErrIdempotencyConflict: the key belongs to a different task, which Error.TaskID names.
	ErrIdempotencyConflict = errors.New("idempotency conflict")
	// ErrFailedPrecondition: the task's state doesn't allow it.
	ErrFailedPrecondition = errors.New("failed precondition")
	// ErrBacklogFull: too many tasks wait, or another limit is used up; nothing was accepted. See Error.RetryAfter.
	ErrBacklogFull = errors.New("backlog full")
	// ErrAccessDenied: the server doesn't know the caller, or doesn't let it do this.
	ErrAccessDenied = errors.New("access denied")
	// ErrUnavailable: the cluster can't be reached, or can't answer at the moment. See Error.OutcomeUnknown.
	ErrUnavailable = errors.New("unavailable")
	// ErrDeadlineExceeded: the time limit passed. Such an error is also a context.DeadlineExceeded.
	ErrDeadlineExceeded = errors.New("deadline exceeded")
	// ErrServer: the server failed in a way that it has no better word for.
	ErrServer = errors.New("server error")
	// ErrMismatch: the result is not of the type that the task's definition says.
	ErrMismatch = errors.New("mismatch")
	// ErrClosed: the client was closed.
	ErrClosed = errors.New("the client is closed")
	// ErrUnsuccessful: the task is over and has no result; a TaskFailedError, TaskCancelledError or TaskExpiredError.
	ErrUnsuccessful = errors.New("the task has no result")
)

// FieldViolation says what is wrong with one field of a request; Field is its path, e.g. "retry.max_attempts".
type FieldViolation struct {
	Field       string
	Description string
}

func (v FieldViolation) String() string { return v.Field + ": " + v.Description }

// Error is what every call of a Client ends with that doesn't succeed.
type Error struct {
	// Kind is one of the Err… of this package, or context.Canceled where the caller's context ended.
	Kind error
	// Reason is a stable word from the server to branch on, e.g. "BACKLOG_FULL"; empty if none was given.
	Reason string
	// Message is for people.
	Message string
	// Violations has one for each offending field.
	Violations []FieldViolation
	// RetryAfter tells when trying again can help, if the server said so.
	RetryAfter time.Duration
	// TaskID is the task that owns the idempotency key, with ErrIdempotencyConflict.
	TaskID string
	// OutcomeUnknown: the request may have been carried out all the same. It is false when the server surely never
	// got it.
	OutcomeUnknown bool

	cause error
}

func (e *Error) Error() string {
	if e.Message == "" {
		return e.Kind.Error()
	}
	return e.Message
}

// Unwrap answers the kind, and what caused the error, if anything did.
func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.cause}
}

// TaskFailedError: the task used up its retries, or its handler said that another attempt can't help.
type TaskFailedError struct {
	// Type is a stable word to branch on: the name of the handler's error, or one of Taskyard's, e.g. "TIMEOUT".
	Type    string
	Message string
	Stack   string
	// Task is the task as it ended.
	Task *Task
}

func (e *TaskFailedError) Error() string {
	return fmt.Sprintf("%s failed: %s: %s", naming(e.Task), e.Type, e.Message)
}

// Unwrap answers ErrUnsuccessful.
func (e *TaskFailedError) Unwrap() error { return ErrUnsuccessful }

// TaskCancelledError: the task was cancelled.
type TaskCancelledError struct{ Task *Task }

func (e *TaskCancelledError) Error() string { return naming(e.Task) + " was cancelled" }

// Unwrap answers ErrUnsuccessful.
func (e *TaskCancelledError) Unwrap() error { return ErrUnsuccessful }

// TaskExpiredError: the task was not started in time.
type TaskExpiredError struct{ Task *Task }

func (e *TaskExpiredError) Error() string { return naming(e.Task) + " expired before it was started" }

// Unwrap answers ErrUnsuccessful.
func (e *TaskExpiredError) Unwrap() error { return ErrUnsuccessful }

func naming(task *Task) string { return fmt.Sprintf("task %s (%s)", task.ID, task.Type) }

// unsuccessful is the error of a task that ended without a result; nil for one that succeeded.
func unsuccessful(task *Task) error {
	switch task.State {
	case StateFailed:
		failed := &TaskFailedError{Task: task}
		if why := task.Error; why != nil {
			failed.Type, failed.Message, failed.Stack = why.Type, why.Message, why.Stack
		}
		return failed
	case StateCancelled:
		return &TaskCancelledError{task}
	case StateExpired:
		return &TaskExpiredError{task}
	}
	return nil
}

func invalid(field, description string) *Error {
	return invalidFields([]FieldViolation{{field, description}})
}

func invalidFields(violations []FieldViolation) *Error {
	said := make([]string, len(violations))
	for i, violation := range violations {
		said[i] = violation.String()
	}
	return &Error{
		Kind: ErrInvalidArgument, Reason: "INVALID_ARGUMENT", Message: strings.Join(said, "; "), Violations: violations,
	}
}

func closedError(unknown bool) *Error {
	return &Error{Kind: ErrClosed, OutcomeUnknown: unknown}
}

// endedError is for a call whose caller's context has ended.
func endedError(ctx context.Context, unknown bool) *Error {
	if errors.Is(context.Cause(ctx), ErrClosed) {
		return closedError(unknown)
	}
	ended := &Error{Kind: context.Canceled, Message: "the call was cancelled", OutcomeUnknown: unknown}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		ended.Kind, ended.Message = ErrDeadlineExceeded, "the call was not over in time"
	}
	ended.cause = context.Cause(ctx)
	if ended.cause != ctx.Err() {
		ended.cause = errors.Join(ctx.Err(), ended.cause)
		ended.Message += ": " + context.Cause(ctx).Error()
	}
	return ended
}
