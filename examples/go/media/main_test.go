package main

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	taskyard "github.com/taskyard/taskyard/sdk/go"
	"github.com/taskyard/taskyard/sdk/go/taskyardtest"
)

func recorded(t *testing.T) Job {
	t.Helper()
	folder := t.TempDir()
	job := Job{filepath.Join(folder, "in.wav"), filepath.Join(folder, "out.wav")}
	samples := make([]int16, 16000)
	for at := range samples {
		samples[at] = int16(at)
	}
	if err := writeSound(job.Source, 8000, samples); err != nil {
		t.Fatal(err)
	}
	return job
}

func TestASoundIsHalved(t *testing.T) {
	job := recorded(t)
	var last float64
	ctx := taskyardtest.Context(t.Context(), taskyardtest.Attempt{
		Progress: func(fraction float64, _ string) { last = fraction },
	})
	if media, err := halve(ctx, job); err != nil || media != (Media{2, 4000}) || last != 1 {
		t.Error(media, err, last)
	}
	half, err := readSound(job.Target)
	if err != nil || half.rate != 4000 || len(half.samples) != 8000 || half.samples[3000] != 6000 {
		t.Error(half.rate, len(half.samples), err)
	}
}

func TestACancelledJobStops(t *testing.T) {
	cancelled, cancel := context.WithCancelCause(t.Context())
	cancel(taskyard.ErrCancelled)
	if _, err := halve(taskyardtest.Context(cancelled, taskyardtest.Attempt{}), recorded(t)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestAMissingFileIsNotTriedAgain(t *testing.T) {
	worker := taskyard.NewWorker(taskyard.WorkerOptions{})
	Transcode.Handle(worker, halve)
	cluster := taskyardtest.New(t, worker)
	handle, err := Transcode.Submit(t.Context(), cluster.Client(), Job{"/nowhere.wav", "/nowhere.wav"})
	if err != nil {
		t.Fatal(err)
	}
	var failed *taskyard.TaskFailedError
	if _, err := handle.Result(t.Context()); !errors.As(err, &failed) || failed.Type != "PathError" || failed.Task.Attempt != 1 {
		t.Error(err)
	}
}
