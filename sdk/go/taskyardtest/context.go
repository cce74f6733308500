package taskyardtest

import (
	"context"
	"time"

	taskyard "github.com/taskyard/taskyard/sdk/go"
	"github.com/taskyard/taskyard/sdk/go/internal/inprocess"
	pb "github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

// Attempt is what a Context for calling a handler tells. Its zero value is a first attempt.
type Attempt struct {
	// TaskID is "0193a1b2-c3d4-7000-8000-000000000001" by default.
	TaskID string
	// Type is "test" by default, Queue "default".
	Type, Queue string
	// Number is the attempt's; 1 by default.
	Number            int
	Failures, Crashes int
	CreatedAt         time.Time
	// Progress gets what the handler reports, if it is set.
	Progress func(fraction float64, message string)
	// Draining, if set, tells the handler that its worker takes no more tasks.
	Draining <-chan struct{}
}

// Context is one to call a handler with. Cancel ctx with taskyard.ErrCancelled or another cause to tell it to stop.
func Context(ctx context.Context, attempt Attempt) taskyard.Context {
	inner := inprocess.Attempt{
		TaskID: or(attempt.TaskID, "0193a1b2-c3d4-7000-8000-000000000001"), Type: or(attempt.Type, "test"),
		Queue: or(attempt.Queue, "default"), Attempt: int32(max(attempt.Number, 1)), Failures: int32(attempt.Failures),
		Crashes: int32(attempt.Crashes), CreatedAt: attempt.CreatedAt, Draining: attempt.Draining,
		Progress: func(told *pb.Progress) {
			if attempt.Progress != nil {
				attempt.Progress(told.Fraction, told.Message)
			}
		},
	}
	return inprocess.Context(ctx, inner).(taskyard.Context)
}
