package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel"

	taskyard "github.com/taskyard/taskyard/sdk/go"
)

func init() {
	commands["worker.start"] = startWorker
	commands["worker.stop"] = stopWorker
	commands["gate.open"] = openGate
	features = append(features, "worker", "exit-caught", "big-integers", "nanoseconds", "tracing", "logs", "tls", "signals")
	faults = append(faults, func(err error) fault {
		if errors.Is(err, taskyard.ErrRefused) {
			return fault{"kind": "Refused", "message": err.Error()}
		}
		return nil
	})
	slog.SetDefault(slog.New(teller{}))
}

var workers = struct {
	sync.Mutex
	stops map[string]context.CancelFunc
}{stops: map[string]context.CancelFunc{}}

type workerFields struct {
	Worker      string         `json:"worker"`
	Dispatchers []string       `json:"dispatchers"`
	Types       []string       `json:"types"`
	Queues      []string       `json:"queues"`
	Labels      map[string]any `json:"labels"`
	Slots       *int           `json:"slots"`
	Namespace   string         `json:"namespace"`
	Name        string         `json:"name"`
	Version     string         `json:"version"`
	Grace       *duration      `json:"grace"`
	TLS         *tlsFiles      `json:"tls"`
	Signals     bool           `json:"signals"`
	Tracing     bool           `json:"tracing"`
}

func startWorker(asked *command) (any, error) {
	about := workerFields{Worker: "w"}
	if err := asked.read(&about); err != nil {
		return nil, err
	}
	options, err := about.options()
	if err != nil {
		return nil, fault{"kind": "Settings", "message": err.Error()}
	}
	worker := taskyard.NewWorker(options)
	for _, name := range about.Types {
		taskyard.Define[json.RawMessage, any](name).Handle(worker, kit)
	}
	if err := worker.Check(); err != nil {
		return nil, fault{"kind": "Settings", "message": err.Error()}
	}
	if about.Tracing {
		otel.SetTracerProvider(spans{})
	}
	serve := worker.Serve
	if about.Signals {
		serve = worker.Run
	}
	ctx, stop := context.WithCancel(context.Background())
	workers.Lock()
	workers.stops[about.Worker] = stop
	workers.Unlock()
	go func() {
		ended := fault{"worker": about.Worker}
		if err := serve(ctx); err != nil {
			ended["error"] = describe(err)
		}
		tell("worker.ended", ended)
	}()
	return nil, nil
}

func (f workerFields) options() (taskyard.WorkerOptions, error) {
	config, err := f.TLS.config()
	options := taskyard.WorkerOptions{
		Dispatchers: f.Dispatchers, Labels: map[string]string{}, Queues: f.Queues, Namespace: f.Namespace,
		Name: f.Name, Version: f.Version, TLS: config,
	}
	for name, value := range f.Labels {
		switch value := value.(type) {
		case string:
			options.Labels[name] = value
		case json.Number:
			options.Labels[name] = value.String()
		}
	}
	if f.Slots != nil {
		// In Go zero is what was not given: here it was, and is no number of slots.
		if options.Slots = *f.Slots; *f.Slots == 0 {
			options.Slots = -1
		}
	}
	if f.Grace != nil {
		if options.Grace = time.Duration(*f.Grace); options.Grace == 0 {
			options.Grace = -1
		}
	}
	return options, err
}

func stopWorker(asked *command) (any, error) {
	about := workerFields{Worker: "w"}
	if err := asked.read(&about); err != nil {
		return nil, err
	}
	workers.Lock()
	defer workers.Unlock()
	if stop := workers.stops[about.Worker]; stop != nil {
		stop()
	}
	return nil, nil
}
