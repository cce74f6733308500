package taskyardtest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	taskyard "github.com/taskyard/taskyard/sdk/go"
	"github.com/taskyard/taskyard/sdk/go/taskyardtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	double = taskyard.Define[int, int]("double")
	flaky  = taskyard.Define[int, string]("flaky")
	hang   = taskyard.Define[string, any]("hang")
	chain  = taskyard.Define[int, string]("chain")
)

type notYet struct{}

func (notYet) Error() string { return "not yet" }

func newCluster(t *testing.T, started chan<- taskyard.Context) *taskyardtest.Cluster {
	worker := taskyard.NewWorker(taskyard.WorkerOptions{})
	double.Handle(worker, func(_ taskyard.Context, in int) (int, error) { return 2 * in, nil })
	flaky.Handle(worker, func(ctx taskyard.Context, failures int) (string, error) {
		switch {
		case failures < 0:
			return "", taskyard.NonRetryable(notYet{})
		case ctx.Failures() < failures:
			return "", notYet{}
		}
		return fmt.Sprintf("attempt %d", ctx.Attempt()), nil
	})
	hang.Handle(worker, func(ctx taskyard.Context, _ string) (any, error) {
		if started != nil {
			started <- ctx
		}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	return taskyardtest.New(t, worker)
}

func TestTasksRun(t *testing.T) {
	cluster := newCluster(t, nil)
	handle, err := double.Submit(t.Context(), cluster.Client(), 21)
	if err != nil {
		t.Fatal(err)
	}
	if result, err := handle.Result(t.Context()); result != 42 || err != nil {
		t.Error(result, err)
	}
}

func TestRetriesTakeVirtualTime(t *testing.T) {
	cluster := newCluster(t, nil)
	began := time.Now()
	handle, err := flaky.Submit(t.Context(), cluster.Client(), 3, taskyard.Retry(taskyard.RetryPolicy{
		MaxAttempts: 9, InitialBackoff: time.Hour, Multiplier: 3, MaxBackoff: 5 * time.Hour,
	}))
	if err != nil {
		t.Fatal(err)
	}
	if result, err := handle.Result(t.Context()); result != "attempt 4" || err != nil {
		t.Error(result, err)
	}
	task, err := handle.Get(t.Context())
	if err != nil || task.FinishedAt.Sub(task.CreatedAt) != 9*time.Hour { // 1, 3, and 9 cut at 5
		t.Error(task, err)
	}
	runs, err := cluster.Client().Attempts(t.Context(), handle.ID)
	if err != nil || len(runs) != 4 || runs[0].Error.Type != "notYet" || runs[3].Outcome != "SUCCEEDED" {
		t.Error(runs, err)
	}
	if took := time.Since(began); took > time.Minute {
		t.Error(took)
	}
}

func TestTimeStandsStillUntilSomebodyWaits(t *testing.T) {
	cluster := newCluster(t, nil)
	before := cluster.Now()
	handle, err := double.Submit(t.Context(), cluster.Client(), 1, taskyard.Delay(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if state, err := handle.State(t.Context()); state != taskyard.StateScheduled || err != nil || !cluster.Now().Equal(before) {
		t.Error(state, err)
	}
	if err := cluster.Settle(t.Context()); err != nil || cluster.Now().Sub(before) != time.Hour {
		t.Error(err, cluster.Now())
	}
	if state, err := handle.State(t.Context()); state != taskyard.StateSucceeded || err != nil {
		t.Error(state, err)
	}
}

func TestDeadLetters(t *testing.T) {
	cluster := newCluster(t, nil)
	client := cluster.Client()
	for _, failures := range []int{-1, 99} {
		if _, err := flaky.Submit(t.Context(), client, failures); err != nil {
			t.Fatal(err)
		}
	}
	if err := cluster.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	var attempts []int
	var last *taskyard.Task
	for task, err := range client.List(t.Context(), taskyard.TaskFilter{State: taskyard.StateFailed, ErrorType: "notYet"}) {
		if err != nil {
			t.Fatal(err)
		}
		attempts, last = append(attempts, task.Attempt), task
	}
	if len(attempts) != 2 || attempts[0] != 3 || attempts[1] != 1 {
		t.Error(attempts)
	}
	if task, err := client.Redrive(t.Context(), last.ID); err != nil || task.Failures != 0 {
		t.Error(task, err)
	}
	if err := cluster.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again, err := client.RedriveMany(t.Context(), taskyard.TaskFilter{}, taskyard.Bulk{Limit: 1}); err != nil || again.Count != 1 {
		t.Error(again, err)
	}
	if err := cluster.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if counted, err := client.PurgeMany(t.Context(), taskyard.TaskFilter{}, taskyard.Bulk{DryRun: true}); err != nil || counted.Count != 2 {
		t.Error(counted, err)
	}
	if purged, err := client.PurgeMany(t.Context(), taskyard.TaskFilter{}, taskyard.Bulk{}); err != nil || purged.Count != 2 {
		t.Error(purged, err)
	}
	if _, err := client.Get(t.Context(), last.ID); !errors.Is(err, taskyard.ErrNotFound) {
		t.Error(err)
	}
	if queues, err := client.Queues(t.Context()); err != nil || len(queues) != 0 {
		t.Error(queues, err)
	}
}

func TestCancels(t *testing.T) {
	started := make(chan taskyard.Context, 1)
	cluster := newCluster(t, started)
	running, err := hang.Submit(t.Context(), cluster.Client(), "")
	if err != nil {
		t.Fatal(err)
	}
	ctx := <-started
	if task, err := running.Cancel(t.Context()); err != nil || !task.CancelRequested {
		t.Error(task, err)
	}
	var cancelled *taskyard.TaskCancelledError
	if _, err := running.Result(t.Context()); !errors.As(err, &cancelled) || !errors.Is(context.Cause(ctx), taskyard.ErrCancelled) {
		t.Error(err, context.Cause(ctx))
	}
	later, err := double.Submit(t.Context(), cluster.Client(), 1, taskyard.Delay(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if task, err := later.Cancel(t.Context()); err != nil || task.State != taskyard.StateCancelled || task.Attempt != 0 {
		t.Error(task, err)
	}
	done, err := double.Submit(t.Context(), cluster.Client(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := done.Wait(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := done.Cancel(t.Context()); !errors.Is(err, taskyard.ErrFailedPrecondition) {
		t.Error(err)
	}
}

func TestTimeoutsAndExpiry(t *testing.T) {
	cluster := newCluster(t, nil)
	handle, err := hang.Submit(t.Context(), cluster.Client(), "", taskyard.Timeout(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	var failed *taskyard.TaskFailedError
	if _, err := handle.Result(t.Context()); !errors.As(err, &failed) || failed.Type != "TIMEOUT" || failed.Task.Attempt != 3 {
		t.Error(err)
	}
	nobody, err := taskyard.Any("nobody").Submit(t.Context(), cluster.Client(), nil, taskyard.ExpiresAt(cluster.Now().Add(time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	var expired *taskyard.TaskExpiredError
	if _, err := nobody.Result(t.Context()); !errors.As(err, &expired) {
		t.Error(err)
	}
}

func TestKeys(t *testing.T) {
	cluster := newCluster(t, nil)
	submit := func(number int) (*taskyard.Handle[int], error) {
		return double.Submit(t.Context(), cluster.Client(), number, taskyard.IdempotencyKey("k"))
	}
	first, err := submit(1)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := submit(1); err != nil || again.ID != first.ID || !again.Deduplicated {
		t.Error(again, err)
	}
	var conflict *taskyard.Error
	if _, err := submit(2); !errors.As(err, &conflict) || conflict.Kind != taskyard.ErrIdempotencyConflict || conflict.TaskID != first.ID {
		t.Error(err)
	}
}

func TestHandlersMaySubmit(t *testing.T) {
	worker := taskyard.NewWorker(taskyard.WorkerOptions{})
	var cluster *taskyardtest.Cluster
	chain.Handle(worker, func(ctx taskyard.Context, left int) (string, error) {
		if left == 0 {
			return "end", nil
		}
		next, err := chain.Submit(ctx, cluster.Client(), left-1, taskyard.Delay(time.Minute))
		if err != nil {
			return "", err
		}
		return next.ID, nil
	})
	cluster = taskyardtest.New(t, worker)
	before := cluster.Now()
	if _, err := chain.Submit(t.Context(), cluster.Client(), 3); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Settle(t.Context()); err != nil || cluster.Now().Sub(before) != 3*time.Minute {
		t.Error(err, cluster.Now().Sub(before))
	}
}

func TestWhatRunsAtTheEndIsToldToStop(t *testing.T) {
	var left taskyard.Context
	t.Run("inner", func(t *testing.T) {
		started := make(chan taskyard.Context, 1)
		cluster := newCluster(t, started)
		if _, err := hang.Submit(t.Context(), cluster.Client(), ""); err != nil {
			t.Fatal(err)
		}
		left = <-started
	})
	if !errors.Is(context.Cause(left), taskyard.ErrShutdown) {
		t.Error(context.Cause(left))
	}
}

func TestContextForOneHandler(t *testing.T) {
	var said string
	ctx := taskyardtest.Context(t.Context(), taskyardtest.Attempt{
		Number: 2, Progress: func(fraction float64, message string) { said = fmt.Sprint(fraction, message) },
	})
	if ctx.Attempt() != 2 || ctx.Queue() != "default" || ctx.Token().String() != "0193a1b2-c3d4-7000-8000-000000000001/2" {
		t.Error(ctx.Token())
	}
	if err := ctx.Progress(0.5, "half"); err != nil || said != "0.5half" {
		t.Error(err, said)
	}
}
