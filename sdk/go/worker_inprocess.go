package taskyard

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/taskyard/taskyard/sdk/go/internal/inprocess"
)

func init() {
	inprocess.Types = func(worker any) []string { return slices.Sorted(maps.Keys(worker.(*Worker).handlers)) }
	inprocess.Run = func(ctx context.Context, worker any, attempt inprocess.Attempt) inprocess.Ending {
		return runInProcess(ctx, worker.(*Worker).handlers[attempt.Type], attempt)
	}
	inprocess.Context = func(ctx context.Context, attempt inprocess.Attempt) any { return contextOf(ctx, attempt) }
}

func contextOf(ctx context.Context, attempt inprocess.Attempt) Context {
	about := &run{
		taskID: attempt.TaskID, taskType: attempt.Type, queue: attempt.Queue, traceparent: attempt.Traceparent,
		attempt: attempt.Attempt, failures: attempt.Failures, crashes: attempt.Crashes, createdAt: attempt.CreatedAt,
		progress: attempt.Progress, draining: attempt.Draining,
	}
	return Context{ctx, about}
}

// runInProcess is what a session makes of an attempt, without the session.
func runInProcess(ctx context.Context, function handler, attempt inprocess.Attempt) inprocess.Ending {
	result, err := call(function, contextOf(ctx, attempt), attempt.Payload)
	switch {
	case err == nil:
		return inprocess.Ending{Result: result}
	case context.Cause(ctx) != nil && (isStop(err) || errors.Is(err, context.DeadlineExceeded)):
		return inprocess.Ending{Stopped: true}
	}
	return inprocess.Ending{Error: describe(err)}
}
