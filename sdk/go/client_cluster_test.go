package taskyard_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	taskyard "github.com/taskyard/taskyard/sdk/go"
)

type order struct {
	Number int `json:"number"`
}

type declined struct{ order int }

func (d declined) Error() string { return fmt.Sprintf("order %d was declined", d.order) }

var (
	pay  = taskyard.Define[order, string]("shop.pay")
	loop = taskyard.Define[order, any]("shop.loop")
)

// TestClientAndWorkerOnACluster goes through every verb of the client once, with a worker of this SDK at the other end.
func TestClientAndWorkerOnACluster(t *testing.T) {
	cluster := newCluster(t)
	client, err := taskyard.NewClient(taskyard.ClientOptions{Address: cluster.grpc})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	started := make(chan string, 1)
	stop := serving(t, cluster, started)
	defer stop()

	paid, err := pay.Submit(ctx, client, order{1}, taskyard.IdempotencyKey("order-1"), taskyard.Priority(7))
	fatal(t, err)
	if result, err := paid.Result(ctx); result != "paid 1" || err != nil {
		t.Fatal(result, err)
	}
	again, err := pay.Submit(ctx, client, order{1}, taskyard.IdempotencyKey("order-1"), taskyard.Priority(7))
	if err != nil || again.ID != paid.ID || !again.Deduplicated {
		t.Error(again, err)
	}
	_, err = pay.Submit(ctx, client, order{2}, taskyard.IdempotencyKey("order-1"), taskyard.Priority(7))
	var conflict *taskyard.Error
	if !errors.As(err, &conflict) || !errors.Is(err, taskyard.ErrIdempotencyConflict) || conflict.TaskID != paid.ID {
		t.Error(err)
	}

	refused := deadLetter(ctx, t, client)
	runs, err := client.Attempts(ctx, refused.ID)
	if err != nil || len(runs) != 2 || runs[1].Outcome != "FAILED" || runs[1].Error.Type != "declined" {
		t.Error(runs, err)
	}
	cancelRunning(ctx, t, client, started)
	submitSome(ctx, t, client)
	lookAround(ctx, t, client)
	redriveAndPurge(ctx, t, client, refused)
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func serving(t *testing.T, cluster *cluster, started chan<- string) func() {
	worker := taskyard.NewWorker(taskyard.WorkerOptions{
		Dispatchers: cluster.dispatchers(), Name: "till", Labels: map[string]string{"shop": "lyon"},
	})
	pay.Handle(worker, func(_ taskyard.Context, in order) (string, error) {
		if in.Number == 13 {
			return "", declined{in.Number}
		}
		return fmt.Sprintf("paid %d", in.Number), nil
	})
	loop.Handle(worker, func(ctx taskyard.Context, _ order) (any, error) {
		started <- ctx.TaskID()
		<-ctx.Done()
		return nil, ctx.Err()
	})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- worker.Serve(ctx) }()
	return func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func deadLetter(ctx context.Context, t *testing.T, client *taskyard.Client) *taskyard.Handle[string] {
	t.Helper()
	refused, err := pay.Submit(ctx, client, order{13}, taskyard.Retry(taskyard.RetryPolicy{
		MaxAttempts: 2, InitialBackoff: time.Millisecond, Jitter: taskyard.NoJitter,
	}))
	fatal(t, err)
	var failed *taskyard.TaskFailedError
	_, err = refused.Result(ctx)
	if !errors.As(err, &failed) || failed.Type != "declined" || failed.Message != "order 13 was declined" ||
		failed.Task.Retry.Jitter != taskyard.NoJitter || failed.Task.Failures != 2 {
		t.Error(err, failed)
	}
	return refused
}

func cancelRunning(ctx context.Context, t *testing.T, client *taskyard.Client, started <-chan string) {
	t.Helper()
	endless, err := loop.Submit(ctx, client, order{1})
	fatal(t, err)
	if id := <-started; id != endless.ID {
		t.Fatal(id)
	}
	if task, err := endless.Cancel(ctx); err != nil || !task.CancelRequested {
		t.Error(task, err)
	}
	var cancelled *taskyard.TaskCancelledError
	if _, err := endless.Result(ctx); !errors.As(err, &cancelled) {
		t.Error(err)
	}
	if _, err := client.Redrive(ctx, endless.ID); !errors.Is(err, taskyard.ErrFailedPrecondition) {
		t.Error(err)
	}
	later, err := pay.Submit(ctx, client, order{3}, taskyard.Delay(time.Hour), taskyard.Queue("later"))
	fatal(t, err)
	if task, err := later.Cancel(ctx); err != nil || task.State != taskyard.StateCancelled {
		t.Error(task, err)
	}
}

func submitSome(ctx context.Context, t *testing.T, client *taskyard.Client) {
	t.Helper()
	var requests []taskyard.Request
	for number := range 1200 {
		requests = append(requests, pay.Request(order{100 + number}, taskyard.Queue("bulk")))
	}
	requests[7] = pay.Request(order{7}, taskyard.Priority(11))
	for i, outcome := range client.SubmitMany(ctx, requests) {
		if i == 7 {
			var refusal *taskyard.Error
			if !errors.As(outcome.Err, &refusal) || refusal.Violations[0].Field != "priority" {
				t.Error(outcome)
			}
			continue
		}
		fatal(t, outcome.Err)
		result, err := pay.Task(client, outcome.ID).Result(ctx)
		if result != fmt.Sprintf("paid %d", 100+i) || err != nil {
			t.Fatal(result, err)
		}
	}
	listed := 0
	for task, err := range client.List(ctx, taskyard.TaskFilter{Queue: "bulk", State: taskyard.StateSucceeded}) {
		fatal(t, err)
		if task.Worker != "till" || task.FinishedAt.IsZero() {
			t.Fatal(task)
		}
		listed++
	}
	if listed != 1199 {
		t.Errorf("%d tasks listed", listed)
	}
}

func lookAround(ctx context.Context, t *testing.T, client *taskyard.Client) {
	t.Helper()
	members, err := client.Cluster(ctx)
	if err != nil || members.Leader == nil || len(members.Dispatchers) == 0 || members.Version == "" {
		t.Error(members, err)
	}
	workers, err := client.Workers(ctx)
	if err != nil || len(workers) != 1 || workers[0].Labels["shop"] != "lyon" || workers[0].SDK != "go/"+taskyard.Version {
		t.Error(workers, err)
	}
	// The counts are a moment old, so that a new queue may be missing.
	if queues, err := client.Queues(ctx); err != nil || len(queues) == 0 || queues[0].Namespace != "default" {
		t.Error(queues, err)
	}
	missing := "0193a1b2-0000-7000-8000-000000000000"
	if _, err := client.Get(ctx, missing); !errors.Is(err, taskyard.ErrNotFound) {
		t.Error(err)
	}
	if _, err := client.Wait(ctx, missing); !errors.Is(err, taskyard.ErrNotFound) {
		t.Error(err)
	}
	if _, err := client.Wait(ctx, "nonsense"); !errors.Is(err, taskyard.ErrInvalidArgument) {
		t.Error(err)
	}
}

func redriveAndPurge(ctx context.Context, t *testing.T, client *taskyard.Client, refused *taskyard.Handle[string]) {
	t.Helper()
	filter := taskyard.TaskFilter{Type: pay.Name(), ErrorType: "declined"}
	if counted, err := client.RedriveMany(ctx, filter, taskyard.Bulk{DryRun: true}); err != nil || counted.Count != 1 {
		t.Error(counted, err)
	}
	if task, err := client.Redrive(ctx, refused.ID); err != nil || task.State == taskyard.StateFailed {
		t.Error(task, err)
	}
	if task, err := refused.Wait(ctx); err != nil || task.State != taskyard.StateFailed || task.Attempt != 4 {
		t.Error(task, err)
	}
	if again, err := client.RedriveMany(ctx, filter, taskyard.Bulk{}); err != nil || again.Count != 1 || again.IDs[0] != refused.ID {
		t.Error(again, err)
	}
	if _, err := refused.Wait(ctx); err != nil {
		t.Error(err)
	}
	if purged, err := client.PurgeMany(ctx, filter, taskyard.Bulk{}); err != nil || purged.Count != 1 {
		t.Error(purged, err)
	}
	if _, err := refused.Get(ctx); !errors.Is(err, taskyard.ErrNotFound) {
		t.Error(err)
	}
}
