// Package inprocess is how taskyardtest runs a worker's handlers without a session: the SDK sets the functions.
package inprocess

import (
	"context"
	"time"

	pb "github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

// Attempt is one run of a task.
type Attempt struct {
	TaskID, Type, Queue, Traceparent string
	Payload                          []byte
	Attempt, Failures, Crashes       int32
	CreatedAt                        time.Time
	Progress                         func(*pb.Progress)
	Draining                         <-chan struct{}
}

// Ending is how an attempt ended: with a result, with an error, or it stopped as it was told.
type Ending struct {
	Result  []byte
	Error   *pb.TaskError
	Stopped bool
}

var (
	// Types are what a *taskyard.Worker has handlers for.
	Types func(worker any) []string
	// Run runs the worker's handler of the attempt's type.
	Run func(ctx context.Context, worker any, attempt Attempt) Ending
	// Context is a taskyard.Context.
	Context func(ctx context.Context, attempt Attempt) any
)
