package taskyard

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

// tooLarge is the reason of an ErrServer whose answer, or whose request, is larger than the other side takes.
const tooLarge = "MESSAGE_TOO_LARGE"

// ofGRPC is what to say of a call that failed in gRPC's words rather than in a scheduler's: a wrong port does that,
// too.
var ofGRPC = map[codes.Code]string{
	codes.DeadlineExceeded: "did not answer in time: is it a scheduler's gRPC port?",
	codes.Unimplemented:    "does not know this call: is it a scheduler's gRPC port, of this version or newer?",
}

var kindOfReason = map[string]error{
	"INVALID_ARGUMENT":     ErrInvalidArgument,
	"PAYLOAD_TOO_LARGE":    ErrInvalidArgument,
	"NOT_FOUND":            ErrNotFound,
	"IDEMPOTENCY_CONFLICT": ErrIdempotencyConflict,
	"FAILED_PRECONDITION":  ErrFailedPrecondition,
	"BACKLOG_FULL":         ErrBacklogFull,
	"TOO_MANY_LANES":       ErrBacklogFull,
	"TOO_MANY_REQUESTS":    ErrUnavailable,
	"UNAVAILABLE":          ErrUnavailable,
	"DEADLINE_EXCEEDED":    ErrDeadlineExceeded,
	tooLarge:               ErrServer,
}

var kindOfCode = map[codes.Code]error{
	codes.InvalidArgument:    ErrInvalidArgument,
	codes.OutOfRange:         ErrInvalidArgument,
	codes.NotFound:           ErrNotFound,
	codes.AlreadyExists:      ErrIdempotencyConflict,
	codes.FailedPrecondition: ErrFailedPrecondition,
	codes.Aborted:            ErrFailedPrecondition,
	codes.ResourceExhausted:  ErrBacklogFull,
	codes.Unauthenticated:    ErrAccessDenied,
	codes.PermissionDenied:   ErrAccessDenied,
	codes.Unavailable:        ErrUnavailable,
	// Nobody but the server or a closing connection cancels a call whose caller still waits for it.
	codes.Canceled:         ErrUnavailable,
	codes.DeadlineExceeded: ErrDeadlineExceeded,
}

// refusedCall is the error of a call to the scheduler at an address that failed. A call that was not sent surely was
// not carried out.
func refusedCall(failure error, address string, sent bool) *Error {
	told := status.Convert(failure)
	refusal := &Error{Message: told.Message(), cause: failure}
	readDetails(told, refusal)
	switch said := ofGRPC[told.Code()]; {
	case !sent && told.Code() == codes.Unavailable:
		refusal.Message = fmt.Sprintf("can't reach %s: %s", address, told.Message())
	case refusal.Reason == "" && said != "":
		refusal.Message = fmt.Sprintf("%s %s (%s)", address, said, told.Message())
	}
	// gRPC's own word for a message that it won't take has nothing to do with backlogs.
	oversize := told.Code() == codes.ResourceExhausted && strings.Contains(told.Message(), "larger than max")
	if refusal.Reason == "" && oversize {
		refusal.Reason = tooLarge
	}
	refusal.Kind = kindOf(refusal.Reason, told.Code())
	refusal.OutcomeUnknown = sent && leavesUnknown(refusal)
	if refusal.Kind == ErrDeadlineExceeded {
		refusal.cause = errors.Join(context.DeadlineExceeded, failure)
	}
	return refusal
}

// leavesUnknown: what is away or too slow may have carried the call out; what is too busy says so before it does.
func leavesUnknown(refusal *Error) bool {
	away := refusal.Kind == ErrUnavailable && refusal.Reason != "TOO_MANY_REQUESTS"
	return away || refusal.Kind == ErrDeadlineExceeded
}

func kindOf(reason string, code codes.Code) error {
	if kind, ok := kindOfReason[reason]; ok {
		return kind
	}
	if kind, ok := kindOfCode[code]; ok {
		return kind
	}
	return ErrServer
}

func readDetails(told *status.Status, refusal *Error) {
	for _, detail := range told.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			refusal.Reason, refusal.TaskID = detail.Reason, detail.Metadata["task_id"]
		case *errdetails.BadRequest:
			for _, violation := range detail.FieldViolations {
				field := withoutPlace(violation.Field)
				refusal.Violations = append(refusal.Violations, FieldViolation{field, violation.Description})
			}
		case *errdetails.RetryInfo:
			refusal.RetryAfter = detail.RetryDelay.AsDuration()
		}
	}
	if len(refusal.Violations) > 0 {
		refusal.Message = invalidFields(refusal.Violations).Message
	}
}

// refusedItem is the error of one task of a batch. The server names fields by the task's place in the request it saw,
// e.g. "tasks[3].priority". Callers saw another request or none, so the place is taken off.
func refusedItem(told *taskyardpb.SubmitError) *Error {
	refusal := &Error{
		Kind: kindOf(told.Reason, codes.Unknown), Reason: told.Reason, Message: told.Message, TaskID: told.TaskId,
		RetryAfter: told.RetryAfter.AsDuration(),
	}
	if told.Field != "" {
		field := withoutPlace(told.Field)
		refusal.Message = strings.ReplaceAll(told.Message, told.Field, field)
		refusal.Violations = []FieldViolation{{field, strings.TrimPrefix(refusal.Message, field+": ")}}
	}
	refusal.OutcomeUnknown = leavesUnknown(refusal)
	return refusal
}

func withoutPlace(path string) string {
	if strings.HasPrefix(path, "tasks[") {
		_, field, found := strings.Cut(path, "].")
		if !found {
			return "task"
		}
		return field
	}
	return strings.TrimPrefix(path, "task.")
}
