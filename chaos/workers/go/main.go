// Command chaos-worker is a worker for chaos runs, the twin of `python -m chaos.worker` but for what only Python does:
// the deaf, the replaying, and hostile tasks.
//
// It keeps its own log of what it started and ended, CHAOS_WORKER_LOG. CHAOS_WORKER_LABELS ("zone=a io=ssd"),
// CHAOS_WORKER_QUEUES ("default bulk"), CHAOS_EPOCH and the SDK's settings apply: TASKYARD_DISPATCHERS,
// TASKYARD_WORKER_NAME, ...
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"

	taskyard "github.com/taskyard/taskyard/sdk/go"
)

func main() {
	if err := work(context.Background()); err != nil {
		log.Fatal(err)
	}
}

// work runs one worker until SIGTERM.
func work(ctx context.Context) error {
	options, err := resolve(os.Getenv, processName())
	if err != nil {
		return err
	}
	clock, err := steadyClock(os.Getenv("CHAOS_EPOCH"))
	if err != nil {
		return err
	}
	journal, err := openJournal(os.Getenv("CHAOS_WORKER_LOG"), clock)
	if err != nil {
		return err
	}
	worker := newLogged(options, journal)
	return errors.Join(worker.Run(ctx), journal.Close())
}

func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s-%d", host, os.Getpid())
}

// logged is a worker whose handler notes what it does, before anybody else can know it.
type logged struct {
	*taskyard.Worker
	name    string
	journal *journal
}

func newLogged(options taskyard.WorkerOptions, journal *journal) *logged {
	l := &logged{taskyard.NewWorker(options), options.Name, journal}
	for _, name := range types {
		taskyard.Any(name).Handle(l.Worker, l.handle)
	}
	return l
}

func (l *logged) handle(ctx taskyard.Context, payload json.RawMessage) (json.RawMessage, error) {
	attempt := attempt{l.name, l.SessionID(), ctx.Token()}
	if err := l.journal.started(attempt); err != nil {
		return nil, err
	}
	result, err := perform(ctx, payload)
	if err := l.journal.ended(attempt, outcomeOf(ctx, err), result); err != nil {
		return nil, err
	}
	return result, err
}
