package main

import (
	"testing"

	taskyard "github.com/taskyard/taskyard/sdk/go"
	"github.com/taskyard/taskyard/sdk/go/taskyardtest"
)

func TestGreet(t *testing.T) {
	worker := taskyard.NewWorker(taskyard.WorkerOptions{})
	Greet.Handle(worker, greet)
	cluster := taskyardtest.New(t, worker)
	handle, err := Greet.Submit(t.Context(), cluster.Client(), Town{"Lyon"})
	if err != nil {
		t.Fatal(err)
	}
	if greeting, err := handle.Result(t.Context()); greeting != "Hello Lyon, from attempt 1" || err != nil {
		t.Error(greeting, err)
	}
}
