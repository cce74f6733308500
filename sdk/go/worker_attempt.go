package taskyard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/taskyard/taskyard/sdk/go/internal/session"
	pb "github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

// unwindTime is what a handler has to clean up after its timeout before the timeout is reported without it, so that the
// next attempt does not overlap with it.
const unwindTime = 5 * time.Second

// attempt is one that this worker runs. What can change is guarded by the link's lock. It is reported by whoever finds it
// running, so nothing is reported twice.
type attempt struct {
	entry   *session.Attempt
	context Context
	end     context.CancelCauseFunc
	handler handler
	payload []byte
	began   time.Time
	// timer ends it at its timeout, and then without its handler.
	timer *time.Timer
	// told is why the handler is to stop.
	told error
	// verdict is what it ends with whatever its handler still does.
	verdict *pb.TaskError
	// result has room for what goes home.
	result struct {
		frame   pb.TaskResult
		success pb.TaskResult_Result
		runTime durationpb.Duration
	}
}

// adopt makes an attempt of an assignment. Under the link's lock.
func (s *service) adopt(entry *session.Attempt) *attempt {
	assignment := entry.Assignment
	a := &attempt{entry: entry, handler: s.handlers[assignment.Type], payload: assignment.Payload, began: s.now()}
	entry.Work = a
	about := &run{
		taskID: entry.TaskID, attempt: entry.Attempt,
		taskType: assignment.Type, queue: assignment.Queue, traceparent: assignment.Traceparent,
		failures: assignment.Failures, crashes: assignment.Crashes, createdAt: assignment.CreatedAt.AsTime(),
		progress: func(progress *pb.Progress) { s.link.reportProgress(entry, progress) },
		draining: s.draining,
	}
	if assignment.CreatedAt == nil {
		about.createdAt = time.Time{}
	}
	ctx, end := context.WithCancelCause(s.base)
	a.context, a.end = Context{ctx, about}, end
	if assignment.Timeout != nil {
		limit := assignment.Timeout.AsDuration()
		about.deadline = a.began.Add(limit)
		a.timer = time.AfterFunc(limit, func() { s.timeOut(a) })
	}
	return a
}

// run runs an attempt's handler and reports what came of it.
func (s *service) run(a *attempt) {
	defer a.end(context.Canceled)
	if a.handler == nil {
		s.settle(a, nil, errNoHandler{a.context.Type()})
		return
	}
	var result []byte
	var err error
	returned := false
	ctx, leave := s.enterSpan(a.context)
	defer func() {
		if !returned {
			err = &panicError{"runtime.Goexit was called", stack()}
		}
		s.settle(a, result, err)
		leave(err)
	}()
	result, err = call(a.handler, ctx, a.payload)
	returned = true
}

type errNoHandler struct{ taskType string }

func (e errNoHandler) Error() string     { return fmt.Sprintf("no handler for %q here", e.taskType) }
func (e errNoHandler) ErrorType() string { return typeNoHandler }

// settle reports what a handler returned, given what it was told.
func (s *service) settle(a *attempt, result []byte, err error) {
	var failure *pb.TaskError
	if err != nil {
		failure = describe(err)
	}
	link := s.link
	link.mu.Lock()
	outcome := a.outcome(err)
	if outcome == timedOut {
		failure = a.verdict
	}
	reported := s.report(a, outcome, result, failure)
	link.mu.Unlock()
	if reported && failure != nil && (outcome == failed || outcome == timedOut) {
		s.logFailure(a, failure)
	}
}

type outcome int

const (
	succeeded outcome = iota
	failed
	timedOut
	cancelled
	handedBack
	lostOutcome
	outcomes
)

var outcomeNames = [outcomes]string{"succeeded", "failed", "timed_out", "cancelled", "released", "lost"}

// outcome is what a handler's return means. Under the link's lock.
func (a *attempt) outcome(err error) outcome {
	switch {
	case a.verdict != nil:
		return timedOut
	case err == nil:
		return succeeded
	case a.told == ErrShutdown && !isNonRetryable(err):
		// We interrupted it: whatever it returns for that must not cost the task a failure.
		return handedBack
	case a.told != nil && isStop(err):
		return cancelled
	}
	return failed
}

// isStop tells whether an error is that of a handler that stopped because its context had ended.
func isStop(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, ErrCancelled) || errors.Is(err, ErrShutdown)
}

// report ends an attempt, unless it has ended. Under the link's lock.
func (s *service) report(a *attempt, how outcome, result []byte, failure *pb.TaskError) bool {
	if !a.entry.Running() {
		return false
	}
	if a.timer != nil {
		a.timer.Stop()
	}
	s.outcomes[how]++
	if how == handedBack {
		s.link.releaseLocked(a.entry)
		return true
	}
	frame := &a.result.frame
	frame.TaskId, frame.Attempt, frame.RunTime = a.entry.TaskID, a.entry.Attempt, a.runTime(s.now())
	switch how {
	case succeeded:
		a.result.success.Result = result
		frame.Outcome = &a.result.success
	case cancelled:
		frame.Outcome = &pb.TaskResult_Cancelled{Cancelled: true}
	default:
		frame.Outcome = &pb.TaskResult_Error{Error: failure}
	}
	s.link.finishLocked(a.entry, frame)
	return true
}

func (a *attempt) runTime(now time.Time) *durationpb.Duration {
	took := max(now.Sub(a.began), 0)
	a.result.runTime.Seconds = int64(took / time.Second)
	a.result.runTime.Nanos = int32(took % time.Second)
	return &a.result.runTime
}

// timeOut tells a handler to stop, and reports its timeout when it has stopped or has not in time.
func (s *service) timeOut(a *attempt) {
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	s.timeOutLocked(a)
}

func (s *service) timeOutLocked(a *attempt) {
	if !a.entry.Running() || a.verdict != nil {
		return
	}
	message := fmt.Sprintf("the attempt ran out of time after %.3f s", s.now().Sub(a.began).Seconds())
	a.verdict = &pb.TaskError{Type: typeTimeout, Message: message, Retryable: true}
	if a.timer != nil {
		a.timer.Stop()
	}
	a.timer = time.AfterFunc(unwindTime, func() { s.abandon(a) })
	a.tell(ErrTimedOut)
}

// abandon reports a timeout without the handler, which goes on for nothing.
func (s *service) abandon(a *attempt) {
	s.link.mu.Lock()
	reported := s.report(a, timedOut, nil, a.verdict)
	if reported {
		s.abandoned++
	}
	s.link.mu.Unlock()
	if reported {
		s.logFailure(a, a.verdict)
		s.journal.log(slog.LevelWarn, "a handler goes on though its attempt has timed out", a.fields()...)
	}
}

// tell ends the handler's context; only what it is told first counts. Under the link's lock.
func (a *attempt) tell(cause error) {
	if a.told == nil || a.told == ErrCancelled {
		a.told = cause
	}
	a.end(cause)
}

// stop carries out what a frame says of a running attempt. Under the link's lock.
func (s *service) stop(stop session.Stop) (*attempt, error) {
	a, cause := stop.Attempt.Work.(*attempt), ErrCancelled
	switch stop.Reason {
	case pb.StopReason_STOP_REASON_TIMEOUT:
		s.timeOutLocked(a)
		return a, ErrTimedOut
	case pb.StopReason_STOP_REASON_LOST:
		cause = ErrLost
		s.outcomes[lostOutcome]++
		if a.timer != nil {
			a.timer.Stop()
		}
	}
	a.tell(cause)
	return a, cause
}

// shutDown tells all handlers to stop because the worker does.
func (s *service) shutDown() {
	s.link.eachRunning(func(a *attempt) { a.tell(ErrShutdown) })
}

// handBack gives back what still runs, but for what is decided already.
func (s *service) handBack() (number int) {
	s.link.eachRunning(func(a *attempt) {
		number++
		if a.verdict != nil {
			s.report(a, timedOut, nil, a.verdict)
		} else {
			s.report(a, handedBack, nil, nil)
		}
	})
	return number
}
