package main

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	taskyard "github.com/taskyard/taskyard/sdk/go"
)

func init() { faults = append(faults, ofCall, ofTaskError) }

var kinds = []struct {
	kind error
	word string
}{
	{taskyard.ErrInvalidArgument, "InvalidArgument"},
	{taskyard.ErrNotFound, "NotFound"},
	{taskyard.ErrIdempotencyConflict, "IdempotencyConflict"},
	{taskyard.ErrFailedPrecondition, "FailedPrecondition"},
	{taskyard.ErrBacklogFull, "BacklogFull"},
	{taskyard.ErrAccessDenied, "AccessDenied"},
	{taskyard.ErrUnavailable, "Unavailable"},
	{taskyard.ErrDeadlineExceeded, "DeadlineExceeded"},
	{taskyard.ErrServer, "ServerError"},
	{context.Canceled, "Aborted"},
}

// ofCall tells an error of the client's.
func ofCall(err error) fault {
	var failure *taskyard.Error
	if !errors.As(err, &failure) {
		return nil
	}
	told := fault{"kind": "Other", "message": err.Error(), "outcome_unknown": failure.OutcomeUnknown}
	for _, each := range kinds {
		if errors.Is(failure.Kind, each.kind) {
			told["kind"] = each.word
		}
	}
	tellText(told, "reason", failure.Reason)
	tellText(told, "task_id", failure.TaskID)
	if failure.RetryAfter > 0 {
		told["retry_after"] = seconds(failure.RetryAfter)
	}
	if len(failure.Violations) > 0 {
		told["violations"] = each(failure.Violations, func(violation taskyard.FieldViolation) fault {
			return fault{"field": violation.Field, "description": violation.Description}
		})
	}
	return told
}

func ofTaskError(err error) fault {
	var failed *taskyard.TaskFailedError
	var cancelled *taskyard.TaskCancelledError
	var expired *taskyard.TaskExpiredError
	switch {
	case errors.As(err, &failed):
		return fault{"kind": "TaskFailed", "message": err.Error(), "task": task(failed.Task)}
	case errors.As(err, &cancelled):
		return fault{"kind": "TaskCancelled", "message": err.Error(), "task": task(cancelled.Task)}
	case errors.As(err, &expired):
		return fault{"kind": "TaskExpired", "message": err.Error(), "task": task(expired.Task)}
	}
	return nil
}

func each[T any](all []T, tell func(T) fault) []fault {
	told := make([]fault, len(all))
	for i, one := range all {
		told[i] = tell(one)
	}
	return told
}

func tellText(told fault, name, text string) {
	if text != "" {
		told[name] = text
	}
}

// seconds is a duration in the kit's form, with as many decimals as it has.
func seconds(length time.Duration) string {
	whole := strconv.FormatFloat(float64(length/time.Second), 'f', 0, 64)
	rest := length % time.Second
	if rest == 0 {
		return whole + "s"
	}
	sign := ""
	if length < 0 {
		sign, rest = "-", -rest
		whole = strings.TrimPrefix(whole, "-")
	}
	digits := strconv.FormatInt(int64(rest)+int64(time.Second), 10)[1:]
	return sign + whole + "." + strings.TrimRight(digits, "0") + "s"
}

func tellMoment(told fault, name string, at time.Time) {
	tellText(told, name, moment(at))
}

func task(found *taskyard.Task) fault {
	told := fault{
		"id": found.ID, "namespace": found.Namespace, "queue": found.Queue, "type": found.Type,
		"payload": document(found.Payload), "priority": found.Priority, "selector": found.Selector,
		"state": found.State, "attempt": found.Attempt, "failures": found.Failures, "crashes": found.Crashes,
		"idempotency_key": found.IdempotencyKey, "depends_on": found.DependsOn, "worker": found.Worker,
		"traceparent": found.Traceparent, "cancel_requested": found.CancelRequested,
	}
	tellMoment(told, "run_at", found.RunAt)
	tellMoment(told, "expires_at", found.ExpiresAt)
	tellMoment(told, "created_at", found.CreatedAt)
	tellMoment(told, "started_at", found.StartedAt)
	tellMoment(told, "finished_at", found.FinishedAt)
	if found.Timeout != 0 {
		told["timeout"] = seconds(found.Timeout)
	}
	if found.Result != nil {
		told["result"] = found.Result
	}
	if found.Retry != nil {
		told["retry"] = policy(*found.Retry)
	}
	if found.Error != nil {
		told["error"] = taskError(*found.Error)
	}
	if found.Progress != nil {
		told["progress"] = fault{"fraction": found.Progress.Fraction, "message": found.Progress.Message}
	}
	return told
}

// document is a JSON value as it is; no bytes are null.
func document(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage("null")
	}
	return raw
}

func policy(told taskyard.RetryPolicy) fault {
	fields := fault{}
	if told.MaxAttempts != 0 {
		fields["max_attempts"] = told.MaxAttempts
	}
	if told.Multiplier != 0 {
		fields["multiplier"] = told.Multiplier
	}
	if told.Jitter != 0 {
		fields["jitter"] = max(told.Jitter, 0)
	}
	for name, length := range map[string]time.Duration{
		"initial_backoff": told.InitialBackoff, "max_backoff": told.MaxBackoff,
	} {
		if length != 0 {
			fields[name] = seconds(max(length, 0))
		}
	}
	return fields
}

func taskError(why taskyard.TaskError) fault {
	return fault{"type": why.Type, "message": why.Message, "stack": why.Stack, "retryable": why.Retryable}
}

func attempt(run taskyard.Attempt) fault {
	told := fault{
		"task_id": run.TaskID, "attempt": run.Attempt, "session_id": run.SessionID, "worker": run.Worker, "pod": run.Pod,
		"dispatcher": run.Dispatcher,
	}
	tellText(told, "outcome", string(run.Outcome))
	tellMoment(told, "started_at", run.StartedAt)
	tellMoment(told, "finished_at", run.FinishedAt)
	if run.Error != nil {
		told["error"] = taskError(*run.Error)
	}
	return told
}

func queue(info taskyard.QueueInfo) fault {
	told := fault{
		"namespace": info.Namespace, "name": info.Name, "scheduled": info.Scheduled, "blocked": info.Blocked,
		"queued": info.Queued, "running": info.Running, "failed": info.Failed, "max_backlog": info.MaxBacklog,
	}
	if info.OldestAge != 0 {
		told["oldest_age"] = seconds(info.OldestAge)
	}
	if info.Retry != nil {
		told["retry"] = policy(*info.Retry)
	}
	return told
}

func connected(info taskyard.WorkerInfo) fault {
	told := fault{
		"session_id": info.SessionID, "name": info.Name, "namespace": info.Namespace, "labels": info.Labels,
		"queues": info.Queues, "types": info.Types, "slots": info.Slots, "running": info.Running, "pod": info.Pod,
		"dispatcher": info.Dispatcher, "sdk": info.SDK, "pid": info.PID, "draining": info.Draining,
	}
	tellMoment(told, "connected_at", info.ConnectedAt)
	return told
}

func cluster(members taskyard.ClusterInfo) fault {
	told := fault{"version": members.Version}
	if leader := members.Leader; leader != nil {
		told["leader"] = fault{"id": leader.ID, "term": leader.Term, "pid": leader.PID, "pod": leader.Pod}
	}
	told["dispatchers"] = each(members.Dispatchers, func(one taskyard.DispatcherInfo) fault {
		alive := fault{
			"id": one.ID, "pid": one.PID, "pod": one.Pod, "session_address": one.SessionAddress,
			"http_address": one.HTTPAddress, "version": one.Version, "leader": one.Leader,
		}
		tellMoment(alive, "started_at", one.StartedAt)
		return alive
	})
	return told
}
