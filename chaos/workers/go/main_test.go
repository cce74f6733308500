package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	taskyard "github.com/taskyard/taskyard/sdk/go"
	"github.com/taskyard/taskyard/sdk/go/taskyardtest"
)

// performed is the log of an attempt, and what it came to.
func performed(t *testing.T, ctx context.Context, attempt taskyardtest.Attempt, payload string) ([][]any, string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "below", "log.jsonl")
	ticks := 0.0
	journal, err := openJournal(path, func() (float64, error) { ticks++; return 1700000000.25 + ticks, nil })
	if err != nil {
		t.Fatal(err)
	}
	defer journal.Close()
	worker := newLogged(taskyard.WorkerOptions{Name: "one", Logger: slog.New(slog.DiscardHandler)}, journal)
	result, failure := worker.handle(taskyardtest.Context(ctx, attempt), json.RawMessage(payload))
	return lines(t, path), string(result), failure
}

func lines(t *testing.T, path string) (all [][]any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var fields []any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		all = append(all, fields)
	}
	return all
}

func TestAnAttemptIsLogged(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		about, payload, outcome string
		ctx                     context.Context
		attempt                 taskyardtest.Attempt
		errorType               any
	}{
		{"plain", `{"token": "a"}`, "SUCCEEDED", t.Context(), taskyardtest.Attempt{}, nil},
		{"it has failed before", `{"token": "a", "failures": 1}`, "SUCCEEDED", t.Context(), taskyardtest.Attempt{Failures: 1}, nil},
		{"its workers died", `{"token": "a", "kills": 2}`, "SUCCEEDED", t.Context(), taskyardtest.Attempt{Crashes: 2}, nil},
		{"it is to fail", `{"token": "a", "failures": 2}`, "FAILED", t.Context(), taskyardtest.Attempt{Failures: 1}, Unlucky{1}},
		{"for good", `{"token": "a", "hopeless": true}`, "HOPELESS", t.Context(), taskyardtest.Attempt{}, Hopeless{1}},
		{"until redriven", `{"hopeless_before": 3}`, "HOPELESS", t.Context(), taskyardtest.Attempt{Number: 2}, Hopeless{2}},
		{"it is told to stop", `{"token": "a", "seconds": 60}`, "STOPPED", ended, taskyardtest.Attempt{}, nil},
		{"too late to stop", `{"token": "a"}`, "SUCCEEDED", ended, taskyardtest.Attempt{}, nil},
		{"no token", `{}`, "FAILED", t.Context(), taskyardtest.Attempt{}, nil},
		{"no object", `7`, "FAILED", t.Context(), taskyardtest.Attempt{}, nil},
	} {
		t.Run(c.about, func(t *testing.T) {
			c.attempt.TaskID = "t1"
			log, result, err := performed(t, c.ctx, c.attempt, c.payload)
			var digested any
			if c.outcome == "SUCCEEDED" {
				digested = digest([]byte(result))
			}
			of := []any{"one", "", "t1", float64(max(c.attempt.Number, 1))}
			want := [][]any{
				append([]any{"Started", 1700000001.25}, of...),
				append(append([]any{"Ended", 1700000002.25}, of...), c.outcome, digested),
			}
			if !reflect.DeepEqual(log, want) {
				t.Errorf("the log is %v, and not %v", log, want)
			}
			if (err == nil) != (c.outcome == "SUCCEEDED") {
				t.Error(err)
			}
			if kind, _ := c.errorType.(error); kind != nil && !errors.Is(err, kind) {
				t.Errorf("it failed with %v, and not with %v", err, kind)
			}
		})
	}
}

func TestAHopelessTaskIsTriedOnce(t *testing.T) {
	journal, err := openJournal(filepath.Join(t.TempDir(), "log.jsonl"), monotonic)
	if err != nil {
		t.Fatal(err)
	}
	defer journal.Close()
	cluster := taskyardtest.New(t, newLogged(taskyard.WorkerOptions{}, journal).Worker)
	handle, err := taskyard.Any("chaos.hopeless").Submit(t.Context(), cluster.Client(), json.RawMessage(`{"hopeless": true}`))
	if err != nil {
		t.Fatal(err)
	}
	var failed *taskyard.TaskFailedError
	if _, err := handle.Result(t.Context()); !errors.As(err, &failed) || failed.Type != "Hopeless" || failed.Task.Attempt != 1 {
		t.Error(err)
	}
}

// A test in Python checks that these are what the worker in Python returns.
func TestResultsAreThoseOfTheWorkerInPython(t *testing.T) {
	text, err := os.ReadFile("testdata/results.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Payload json.RawMessage
		Attempt int
		Bytes   int
		Digest  string
		Result  *string
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatal("there are none")
	}
	for _, c := range cases {
		result, err := perform(taskyardtest.Context(t.Context(), taskyardtest.Attempt{Number: c.Attempt}), c.Payload)
		if err != nil || len(result) != c.Bytes || digest(result) != c.Digest {
			t.Errorf("%s gives %d bytes with digest %s, and error %v", c.Payload, len(result), digest(result), err)
		}
		if c.Result != nil && string(result) != *c.Result {
			t.Errorf("%s gives %s", c.Payload, result)
		}
	}
}

func TestTheClockBeginsAtTheEpoch(t *testing.T) {
	clock, err := steadyClock("1000.5")
	if err != nil {
		t.Fatal(err)
	}
	before, _ := monotonic()
	at, err := clock()
	after, _ := monotonic()
	if at < 1000.5+before || at > 1000.5+after || err != nil {
		t.Errorf("%v is not between %v and %v: %v", at, 1000.5+before, 1000.5+after, err)
	}
	if _, err := steadyClock("noon"); err == nil {
		t.Error("noon was taken for an epoch")
	}
}

func TestSettings(t *testing.T) {
	environment := map[string]string{"CHAOS_WORKER_LABELS": "zone=a io=ssd", "CHAOS_WORKER_QUEUES": "default bulk"}
	options, err := resolve(func(name string) string { return environment[name] }, "host-1")
	if err != nil || !reflect.DeepEqual(options.Labels, map[string]string{"zone": "a", "io": "ssd"}) ||
		!reflect.DeepEqual(options.Queues, []string{"default", "bulk"}) || options.Name != "host-1" || options.Slots != 20 {
		t.Error(options, err)
	}
	for name, value := range map[string]string{"CHAOS_WORKER_LABELS": "zone", "CHAOS_WORKER_MODE": "deaf"} {
		if _, err := resolve(func(asked string) string { return map[string]string{name: value}[asked] }, ""); err == nil {
			t.Errorf("%s=%s was taken", name, value)
		}
	}
}
