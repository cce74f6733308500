// Command taskyard-demo is a worker to try and to measure a cluster with. Its types are some of those that the Python
// SDK's demo worker has.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	taskyard "github.com/taskyard/taskyard/sdk/go"
)

var (
	noop  = taskyard.Define[json.RawMessage, any]("demo.noop")
	echo  = taskyard.Any("demo.echo")
	clock = taskyard.Define[json.RawMessage, int64]("demo.clock")
	sleep = taskyard.Define[pause, float64]("demo.sleep")
	fail  = taskyard.Define[failure, any]("demo.fail")
)

type pause struct {
	Seconds float64 `json:"seconds"`
}

type failure struct {
	Message   string `json:"message"`
	Retryable *bool  `json:"retryable"`
}

func main() {
	worker := taskyard.NewWorker(taskyard.WorkerOptions{})
	noop.Handle(worker, func(taskyard.Context, json.RawMessage) (any, error) { return nil, nil })
	echo.Handle(worker, func(_ taskyard.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil })
	clock.Handle(worker, func(taskyard.Context, json.RawMessage) (int64, error) { return time.Now().UnixNano(), nil })
	sleep.Handle(worker, rest)
	fail.Handle(worker, refuse)
	if err := worker.Run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func rest(ctx taskyard.Context, in pause) (float64, error) {
	timer := time.NewTimer(time.Duration(in.Seconds * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return in.Seconds, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func refuse(_ taskyard.Context, in failure) (any, error) {
	if in.Message == "" {
		in.Message = "failed on demand"
	}
	if in.Retryable != nil && !*in.Retryable {
		return nil, taskyard.NonRetryable(errors.New(in.Message))
	}
	return nil, errors.New(in.Message)
}
