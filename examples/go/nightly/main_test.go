package main

import (
	"errors"
	"testing"
	"time"

	taskyard "github.com/taskyard/taskyard/sdk/go"
	"github.com/taskyard/taskyard/sdk/go/taskyardtest"
)

func newCluster(t *testing.T) *taskyardtest.Cluster {
	worker := taskyard.NewWorker(taskyard.WorkerOptions{})
	Nightly.Handle(worker, summarise)
	return taskyardtest.New(t, worker)
}

func TestALateReportIsTriedUntilItsBudgetIsSpent(t *testing.T) {
	cluster, folder := newCluster(t), t.TempDir()
	handle, err := Nightly.Submit(t.Context(), cluster.Client(), Night{folder, "2026-11-28"}, options()...)
	if err != nil {
		t.Fatal(err)
	}
	var failed *taskyard.TaskFailedError
	if _, err := handle.Result(t.Context()); !errors.As(err, &failed) || failed.Type != "PathError" || failed.Task.Attempt != 5 {
		t.Fatal(err)
	}
	if took := failed.Task.FinishedAt.Sub(failed.Task.CreatedAt); took != 3*time.Second { // 0.2 + 0.4 + 0.8 + 1.6
		t.Error(took)
	}
	if err := deliver(folder, "2026-11-28", "cents\n250\n350\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.Client().Redrive(t.Context(), handle.ID); err != nil {
		t.Fatal(err)
	}
	if report, err := handle.Result(t.Context()); report != (Report{"2026-11-28", 2, 600}) || err != nil {
		t.Error(report, err)
	}
}

func TestABrokenReportIsRedrivenWhenRepaired(t *testing.T) {
	if err := broken(t.Context(), newCluster(t).Client(), t.TempDir()); err != nil {
		t.Error(err)
	}
}
