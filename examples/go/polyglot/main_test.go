package main

import (
	"slices"
	"testing"

	taskyard "github.com/taskyard/taskyard/sdk/go"
	"github.com/taskyard/taskyard/sdk/go/taskyardtest"
)

func TestAHopHandsItsChainOnOnce(t *testing.T) {
	chain := Chain{Chain: 7, Hops: 6, Path: []string{"python"}}
	client := taskyardtest.New(t).Client()
	for number := 1; number <= 2; number++ { // the second attempt comes after a crash
		path, err := hop(client)(taskyardtest.Context(t.Context(), taskyardtest.Attempt{Number: number}), chain)
		if !slices.Equal(path, []string{"python", "go"}) || err != nil {
			t.Error(path, err)
		}
	}
	tasks := submitted(t, client)
	if len(tasks) != 1 {
		t.Fatalf("%d tasks", len(tasks))
	}
	next := tasks[0]
	if next.Type != "polyglot.typescript" || next.Queue != "polyglot" || next.IdempotencyKey != "polyglot-7-2" {
		t.Error(next)
	}
	if payload := string(next.Payload); payload != `{"chain":7,"hops":6,"path":["python","go"]}` {
		t.Error(payload)
	}
}

func TestTheLastHopHandsNothingOn(t *testing.T) {
	client := taskyardtest.New(t).Client()
	path, err := hop(client)(taskyardtest.Context(t.Context(), taskyardtest.Attempt{}), Chain{Hops: 2, Path: []string{"python"}})
	if len(path) != 2 || err != nil {
		t.Error(path, err)
	}
	if tasks := submitted(t, client); len(tasks) > 0 {
		t.Errorf("%d tasks", len(tasks))
	}
}

func submitted(t *testing.T, client *taskyard.Client) (tasks []*taskyard.Task) {
	t.Helper()
	for task, err := range client.List(t.Context(), taskyard.TaskFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		tasks = append(tasks, task)
	}
	return tasks
}
