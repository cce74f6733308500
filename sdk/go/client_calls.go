package taskyard

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
	"google.golang.org/protobuf/proto"
)

// calls sends requests to whichever scheduler is there: a time limit for each, errors of our own, and retries of what
// is safe to repeat.
type calls struct {
	schedulers *schedulers
	// timeLimit is what one call may take, with all its retries.
	timeLimit time.Duration
	delays    delays
}

// do sends a request of a method until it is answered or the time is up.
//
// A call that didn't reach a scheduler is tried again, at another one if there are several. One whose outcome is
// unknown is tried again only if it is repeatable: carried out twice, it does what it does once.
func (c *calls) do(ctx context.Context, method string, request, answer proto.Message, repeatable bool) error {
	limited, cancel := context.WithTimeout(ctx, c.timeLimit)
	defer cancel()
	unknown := false
	for failures := 0; ; failures++ {
		failure := c.once(limited, method, request, answer)
		if failure == nil {
			return nil
		}
		// What one try has left unknown stays so, though the next ones surely don't arrive.
		unknown = unknown || failure.OutcomeUnknown
		failure.OutcomeUnknown = unknown
		if ctx.Err() != nil {
			return endedError(ctx, unknown)
		}
		if failure.Kind != ErrUnavailable || (unknown && !repeatable) {
			return failure
		}
		if !pause(limited, max(c.delays.wait(failures), failure.RetryAfter)) {
			if ctx.Err() != nil {
				return endedError(ctx, unknown)
			}
			return failure
		}
	}
}

// ask is do for a request that changes nothing, and so leaves nothing unknown when it fails.
func (c *calls) ask(ctx context.Context, method string, request, answer proto.Message) error {
	err := c.do(ctx, method, request, answer, true)
	var failure *Error
	if errors.As(err, &failure) {
		failure.OutcomeUnknown = false
	}
	return err
}

func (c *calls) once(ctx context.Context, method string, request, answer proto.Message) *Error {
	scheduler, err := c.schedulers.current()
	if err != nil {
		return err
	}
	// A call gets a peer when it gets a stream; without one nothing was sent.
	var reached peer.Peer
	if err := scheduler.conn.Invoke(ctx, method, request, answer, grpc.Peer(&reached)); err != nil {
		return c.failure(scheduler, err, reached.Addr != nil)
	}
	return nil
}

// failure is the error of a call that failed at a scheduler, which is avoided from now on if it is away.
func (c *calls) failure(scheduler *scheduler, err error, sent bool) *Error {
	failure := refusedCall(err, scheduler.address, sent)
	if failure.Kind == ErrUnavailable {
		c.schedulers.avoid(scheduler)
	}
	return failure
}
