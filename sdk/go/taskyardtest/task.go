package taskyardtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	taskyard "github.com/taskyard/taskyard/sdk/go"
	"github.com/taskyard/taskyard/sdk/go/internal/inprocess"
	pb "github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

// What a task takes where its policy says nothing, as on a cluster.
const (
	defaultAttempts   = 3
	defaultBackoff    = time.Second
	defaultMultiplier = 2
	defaultMaxBackoff = 5 * time.Minute
)

// task is a submitted task, with its runs.
type task struct {
	told *pb.Task
	spec *pb.TaskSpec
	// due is when it may start, if it is SCHEDULED.
	due  time.Time
	runs []*pb.Attempt
	// end tells its handler to stop, if it is RUNNING.
	end context.CancelCauseFunc
}

func (t *task) over() bool {
	switch t.told.State {
	case pb.TaskState_TASK_STATE_SUCCEEDED, pb.TaskState_TASK_STATE_FAILED, pb.TaskState_TASK_STATE_CANCELLED,
		pb.TaskState_TASK_STATE_EXPIRED:
		return true
	}
	return false
}

func newID(now time.Time) string {
	var id [16]byte
	_, _ = rand.Read(id[:])
	for i, millis := 5, now.UnixMilli(); i >= 0; i, millis = i-1, millis>>8 {
		id[i] = byte(millis)
	}
	id[6], id[8] = id[6]&0x0f|0x70, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

// add stores a task. Under the lock.
func (c *Cluster) add(spec *pb.TaskSpec) *task {
	priority := int32(5)
	if spec.Priority != nil {
		priority = *spec.Priority
	}
	added := &task{spec: spec, due: c.now, told: &pb.Task{
		Id: newID(c.now), Namespace: or(spec.Namespace, "default"), Queue: or(spec.Queue, "default"), Type: spec.Type,
		Payload: []byte(or(string(spec.Payload), "null")), Priority: priority, Selector: spec.Selector,
		IdempotencyKey: spec.IdempotencyKey, RunAt: spec.RunAt, ExpiresAt: spec.ExpiresAt, Timeout: spec.Timeout,
		Retry: spec.Retry, Traceparent: spec.Traceparent, CreatedAt: timestamppb.New(c.now),
		State: pb.TaskState_TASK_STATE_SCHEDULED,
	}}
	if spec.Delay != nil {
		added.due = c.now.Add(spec.Delay.AsDuration())
		added.told.RunAt = timestamppb.New(added.due)
	} else if spec.RunAt != nil {
		added.due = spec.RunAt.AsTime()
	}
	c.tasks = append(c.tasks, added)
	c.byID[added.told.Id] = added
	if spec.IdempotencyKey != "" {
		c.byKey[spec.IdempotencyKey] = added
	}
	return added
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// step starts all that is due. When nothing runs and somebody waits, time jumps to what is due next. Under the lock.
func (c *Cluster) step() {
	defer c.tell()
	for c.base.Err() == nil {
		for _, task := range c.tasks {
			c.consider(task)
		}
		next := c.nextDue()
		if c.running > 0 || c.waiting == 0 || !next.found {
			return
		}
		c.now = next.at
	}
}

// tell wakes all who wait for something to hold. Under the lock.
func (c *Cluster) tell() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// consider makes of a task what it is now. Under the lock.
func (c *Cluster) consider(task *task) {
	told := task.told
	if told.State == pb.TaskState_TASK_STATE_SCHEDULED && !task.due.After(c.now) {
		told.State = pb.TaskState_TASK_STATE_QUEUED
	}
	if told.State != pb.TaskState_TASK_STATE_QUEUED && told.State != pb.TaskState_TASK_STATE_SCHEDULED {
		return
	}
	if told.ExpiresAt != nil && !told.ExpiresAt.AsTime().After(c.now) {
		c.finish(task, pb.TaskState_TASK_STATE_EXPIRED)
	} else if worker := c.workers[told.Type]; worker != nil && told.State == pb.TaskState_TASK_STATE_QUEUED {
		c.start(task, worker)
	}
}

type due struct {
	at    time.Time
	found bool
}

// nextDue is when the next task starts or expires. Under the lock.
func (c *Cluster) nextDue() (next due) {
	sooner := func(at time.Time) {
		if !next.found || at.Before(next.at) {
			next = due{at, true}
		}
	}
	for _, task := range c.tasks {
		scheduled := task.told.State == pb.TaskState_TASK_STATE_SCHEDULED
		if scheduled {
			sooner(task.due)
		}
		if task.told.ExpiresAt != nil && (scheduled || task.told.State == pb.TaskState_TASK_STATE_QUEUED) {
			sooner(task.told.ExpiresAt.AsTime())
		}
	}
	return next
}

// start begins an attempt. Under the lock.
func (c *Cluster) start(task *task, worker *taskyard.Worker) {
	told := task.told
	told.State = pb.TaskState_TASK_STATE_RUNNING
	told.Attempt++
	told.StartedAt = timestamppb.New(c.now)
	told.Worker, told.Error, told.Progress = "taskyardtest", nil, nil
	run := &pb.Attempt{
		TaskId: told.Id, Attempt: told.Attempt, Worker: told.Worker, StartedAt: timestamppb.New(c.now),
	}
	task.runs = append(task.runs, run)
	ctx, end := context.WithCancelCause(c.base)
	task.end = end
	c.running++
	attempt := inprocess.Attempt{
		TaskID: told.Id, Type: told.Type, Queue: told.Queue, Traceparent: told.Traceparent, Payload: told.Payload,
		Attempt: told.Attempt, Failures: told.Failures, Crashes: told.Crashes, CreatedAt: told.CreatedAt.AsTime(),
		Draining: c.base.Done(), Progress: func(progress *pb.Progress) {
			c.mu.Lock()
			defer c.mu.Unlock()
			told.Progress = progress
		},
	}
	limit := told.Timeout
	c.served.Add(1)
	go func() {
		defer c.served.Done()
		defer end(nil)
		if limit != nil {
			var release context.CancelFunc
			ctx, release = context.WithTimeoutCause(ctx, limit.AsDuration(), taskyard.ErrTimedOut)
			defer release()
		}
		ending := inprocess.Run(ctx, worker, attempt)
		c.settle(task, run, ending, context.Cause(ctx))
	}()
}

// settle is what comes of an attempt that has ended; cause is why it was told to stop, if it was.
func (c *Cluster) settle(task *task, run *pb.Attempt, ending inprocess.Ending, cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running--
	run.FinishedAt = timestamppb.New(c.now)
	switch {
	case cause == taskyard.ErrTimedOut:
		run.Outcome = pb.AttemptOutcome_ATTEMPT_OUTCOME_TIMED_OUT
		run.Error = &pb.TaskError{Type: "TIMEOUT", Message: "the attempt ran out of time", Retryable: true}
		c.fail(task, run.Error)
	case cause == taskyard.ErrShutdown:
		run.Outcome = pb.AttemptOutcome_ATTEMPT_OUTCOME_RELEASED
		task.told.State = pb.TaskState_TASK_STATE_QUEUED
	case ending.Stopped:
		run.Outcome = pb.AttemptOutcome_ATTEMPT_OUTCOME_CANCELLED
		c.finish(task, pb.TaskState_TASK_STATE_CANCELLED)
	case ending.Error != nil:
		run.Outcome, run.Error = pb.AttemptOutcome_ATTEMPT_OUTCOME_FAILED, ending.Error
		c.fail(task, ending.Error)
	default:
		run.Outcome = pb.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED
		task.told.Result = ending.Result
		c.finish(task, pb.TaskState_TASK_STATE_SUCCEEDED)
	}
	c.step()
}

// fail retries a task or makes it a dead letter. Under the lock.
func (c *Cluster) fail(task *task, why *pb.TaskError) {
	told := task.told
	told.Failures++
	told.Error = why
	allowed := int32(defaultAttempts)
	if told.Retry.GetMaxAttempts() > 0 {
		allowed = told.Retry.GetMaxAttempts()
	}
	switch {
	case told.CancelRequested:
		c.finish(task, pb.TaskState_TASK_STATE_CANCELLED)
	case !why.Retryable || told.Failures >= allowed:
		c.finish(task, pb.TaskState_TASK_STATE_FAILED)
	default:
		told.State = pb.TaskState_TASK_STATE_SCHEDULED
		task.due = c.now.Add(backoff(told.Retry, told.Failures))
		told.RunAt = timestamppb.New(task.due)
	}
}

// backoff is how long a task waits after so many failures.
func backoff(policy *pb.RetryPolicy, failures int32) time.Duration {
	initial, most, multiplier := defaultBackoff, defaultMaxBackoff, float64(defaultMultiplier)
	if policy.GetInitialBackoff() != nil {
		initial = policy.InitialBackoff.AsDuration()
	}
	if policy.GetMaxBackoff() != nil {
		most = policy.MaxBackoff.AsDuration()
	}
	if policy != nil && policy.Multiplier != nil {
		multiplier = *policy.Multiplier
	}
	return time.Duration(min(float64(initial)*math.Pow(multiplier, float64(failures-1)), float64(most)))
}

func (c *Cluster) finish(task *task, state pb.TaskState) {
	task.told.State = state
	task.told.FinishedAt = timestamppb.New(c.now)
	task.told.RunAt = nil
}

// shown is a task as it is now, for others to keep. Under the lock.
func shown(task *task) *pb.Task { return proto.CloneOf(task.told) }
