package taskyard_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	taskyard "github.com/taskyard/taskyard/sdk/go"
	"github.com/taskyard/taskyard/sdk/go/taskyardtest"
)

type Town struct {
	Town string `json:"town"`
}

var Greet = taskyard.Define[Town, string]("town.greet")

func greet(ctx taskyard.Context, in Town) (string, error) {
	if in.Town == "" {
		return "", taskyard.NonRetryable(errors.New("no town"))
	}
	return fmt.Sprintf("Hello %s, from attempt %d", in.Town, ctx.Attempt()), nil
}

// A worker runs until the process is told to stop.
func ExampleWorker() {
	worker := taskyard.NewWorker(taskyard.WorkerOptions{Labels: map[string]string{"io": "ssd"}, Slots: 50})
	Greet.Handle(worker, greet)
	if err := worker.Run(context.Background()); err != nil {
		fmt.Println(err)
	}
}

func ExampleDefinition_Submit() {
	client, err := taskyard.NewClient(taskyard.ClientOptions{Address: "localhost:7070"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	handle, err := Greet.Submit(ctx, client, Town{"Lyon"}, taskyard.Priority(7), taskyard.IdempotencyKey("greet-lyon"))
	if err != nil {
		fmt.Println(err)
		return
	}
	greeting, err := handle.Result(ctx)
	var failed *taskyard.TaskFailedError
	switch {
	case errors.As(err, &failed):
		fmt.Println("failed:", failed.Type, failed.Message)
	case errors.Is(err, context.DeadlineExceeded):
		fmt.Println("not yet; the task goes on")
	default:
		fmt.Println(greeting, err)
	}
}

func ExampleClient_SubmitMany() {
	client, err := taskyard.NewClient(taskyard.ClientOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	var requests []taskyard.Request
	for _, town := range []string{"Lyon", "Paris"} {
		requests = append(requests, Greet.Request(Town{town}, taskyard.IdempotencyKey("greet-"+town)))
	}
	for i, outcome := range client.SubmitMany(context.Background(), requests) {
		fmt.Println(i, outcome.ID, outcome.Err)
	}
}

func ExampleClient_List() {
	client, err := taskyard.NewClient(taskyard.ClientOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	for task, err := range client.List(context.Background(), taskyard.TaskFilter{State: taskyard.StateFailed}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(task.ID, task.Error.Type)
	}
}

// TestTheReadmeHolds runs what README.md shows.
func TestTheReadmeHolds(t *testing.T) {
	worker := taskyard.NewWorker(taskyard.WorkerOptions{Labels: map[string]string{"io": "ssd"}, Slots: 50})
	Greet.Handle(worker, greet)
	cluster := taskyardtest.New(t, worker)
	handle, err := Greet.Submit(t.Context(), cluster.Client(), Town{"Lyon"}, taskyard.Priority(7), taskyard.IdempotencyKey("greet-lyon"))
	if err != nil {
		t.Fatal(err)
	}
	if greeting, err := handle.Result(t.Context()); greeting != "Hello Lyon, from attempt 1" || err != nil {
		t.Error(greeting, err)
	}
	nowhere, err := Greet.Submit(t.Context(), cluster.Client(), Town{})
	if err != nil {
		t.Fatal(err)
	}
	var failed *taskyard.TaskFailedError
	if _, err := nowhere.Result(t.Context()); !errors.As(err, &failed) || failed.Message != "no town" || failed.Task.Attempt != 1 {
		t.Error(err)
	}
}
