package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"go.opentelemetry.io/otel/propagation"

	taskyard "github.com/taskyard/taskyard/sdk/go"
)

func init() {
	features = append(features, "client", "leaks")
	commands["leaks"] = countLeaks
	commands["client.open"] = openClient
	commands["client.close"] = closeClient
	commands["client.submit"] = submitTask
	commands["client.submit_many"] = submitTasks
	commands["client.get"] = aboutTask((*taskyard.Client).Get)
	commands["client.cancel"] = aboutTask((*taskyard.Client).Cancel)
	commands["client.redrive"] = aboutTask((*taskyard.Client).Redrive)
	commands["client.wait"] = aboutTask((*taskyard.Client).Wait)
	commands["client.result"] = resultOfTask
	commands["client.list"] = listTasks
	commands["client.redrive_many"] = manyTasks((*taskyard.Client).RedriveMany)
	commands["client.purge_many"] = manyTasks((*taskyard.Client).PurgeMany)
	commands["client.attempts"] = attemptsOfTask
	commands["client.queues"] = ofCluster(func(ctx context.Context, client *taskyard.Client) (any, error) {
		queues, err := client.Queues(ctx)
		return fault{"queues": each(queues, queue)}, err
	})
	commands["client.workers"] = ofCluster(func(ctx context.Context, client *taskyard.Client) (any, error) {
		workers, err := client.Workers(ctx)
		return fault{"workers": each(workers, connected)}, err
	})
	commands["client.cluster"] = ofCluster(func(ctx context.Context, client *taskyard.Client) (any, error) {
		members, err := client.Cluster(ctx)
		return cluster(members), err
	})
}

var clients = struct {
	sync.Mutex
	open map[string]*taskyard.Client
}{open: map[string]*taskyard.Client{}}

// ofClient names the client that a command is for.
type ofClient struct {
	Client string `json:"client"`
}

func (o ofClient) name() string {
	if o.Client == "" {
		return "c"
	}
	return o.Client
}

func (o ofClient) find() (*taskyard.Client, error) {
	clients.Lock()
	defer clients.Unlock()
	client := clients.open[o.name()]
	if client == nil {
		return nil, fault{"kind": "Other", "message": "no client " + o.name()}
	}
	return client, nil
}

func openClient(asked *command) (any, error) {
	var wanted struct {
		ofClient
		Address      string    `json:"address"`
		Namespace    string    `json:"namespace"`
		TimeLimit    duration  `json:"time_limit"`
		GenerateKeys bool      `json:"generate_keys"`
		TLS          *tlsFiles `json:"tls"`
	}
	if err := asked.read(&wanted); err != nil {
		return nil, err
	}
	config, err := wanted.TLS.config()
	if err != nil {
		return nil, fault{"kind": "Settings", "message": err.Error()}
	}
	client, err := taskyard.NewClient(taskyard.ClientOptions{
		Address: wanted.Address, Namespace: wanted.Namespace, TimeLimit: time.Duration(wanted.TimeLimit),
		GenerateKeys: wanted.GenerateKeys, TLS: config,
	})
	if err != nil {
		return nil, err
	}
	clients.Lock()
	defer clients.Unlock()
	clients.open[wanted.name()] = client
	return nil, nil
}

func closeClient(asked *command) (any, error) {
	var wanted ofClient
	if err := asked.read(&wanted); err != nil {
		return nil, err
	}
	client, err := wanted.find()
	if err != nil {
		return nil, err
	}
	client.Close()
	return nil, nil
}

// ofCluster is a command that has a client and no other field.
func ofCluster(do func(context.Context, *taskyard.Client) (any, error)) func(*command) (any, error) {
	return func(asked *command) (any, error) {
		var wanted ofClient
		if err := asked.read(&wanted); err != nil {
			return nil, err
		}
		client, err := wanted.find()
		if err != nil {
			return nil, err
		}
		return do(asked.ctx, client)
	}
}

// ofTask is a command about one task; a timeout bounds how long it waits.
type ofTask struct {
	ofClient
	Task    string    `json:"task"`
	Timeout *duration `json:"timeout"`
}

func (o ofTask) read(asked *command) (ofTask, *taskyard.Client, context.Context, context.CancelFunc, error) {
	if err := asked.read(&o); err != nil {
		return o, nil, nil, nil, err
	}
	client, err := o.find()
	if err != nil {
		return o, nil, nil, nil, err
	}
	if o.Timeout == nil {
		return o, client, asked.ctx, func() {}, nil
	}
	ctx, cancel := context.WithTimeout(asked.ctx, time.Duration(*o.Timeout))
	return o, client, ctx, cancel, nil
}

func aboutTask(
	do func(*taskyard.Client, context.Context, string) (*taskyard.Task, error),
) func(*command) (any, error) {
	return func(asked *command) (any, error) {
		wanted, client, ctx, cancel, err := ofTask{}.read(asked)
		if err != nil {
			return nil, err
		}
		defer cancel()
		found, err := do(client, ctx, wanted.Task)
		if err != nil {
			return nil, err
		}
		return task(found), nil
	}
}

func resultOfTask(asked *command) (any, error) {
	wanted, client, ctx, cancel, err := ofTask{}.read(asked)
	if err != nil {
		return nil, err
	}
	defer cancel()
	value, err := taskyard.Any("kit").Task(client, wanted.Task).Result(ctx)
	return fault{"value": value}, err
}

func attemptsOfTask(asked *command) (any, error) {
	wanted, client, ctx, cancel, err := ofTask{}.read(asked)
	if err != nil {
		return nil, err
	}
	defer cancel()
	runs, err := client.Attempts(ctx, wanted.Task)
	return fault{"attempts": each(runs, attempt)}, err
}

type filterFields struct {
	Queue     string             `json:"queue"`
	Type      string             `json:"type"`
	State     taskyard.TaskState `json:"state"`
	ErrorType string             `json:"error_type"`
}

func listTasks(asked *command) (any, error) {
	var wanted struct {
		ofClient
		Filter   filterFields `json:"filter"`
		PageSize *int         `json:"page_size"`
		Limit    int          `json:"limit"`
	}
	if err := asked.read(&wanted); err != nil {
		return nil, err
	}
	client, err := wanted.find()
	if err != nil {
		return nil, err
	}
	size := 100
	if wanted.PageSize != nil {
		size = *wanted.PageSize
	}
	found := []fault{}
	for page, err := range client.Pages(asked.ctx, taskyard.TaskFilter(wanted.Filter), size) {
		if err != nil {
			return nil, err
		}
		for _, listed := range page {
			if found = append(found, task(listed)); len(found) == wanted.Limit {
				return fault{"tasks": found}, nil
			}
		}
	}
	return fault{"tasks": found}, nil
}

func manyTasks(
	do func(*taskyard.Client, context.Context, taskyard.TaskFilter, taskyard.Bulk) (taskyard.Affected, error),
) func(*command) (any, error) {
	return func(asked *command) (any, error) {
		var wanted struct {
			ofClient
			Filter filterFields `json:"filter"`
			Limit  int          `json:"limit"`
			DryRun bool         `json:"dry_run"`
		}
		if err := asked.read(&wanted); err != nil {
			return nil, err
		}
		client, err := wanted.find()
		if err != nil {
			return nil, err
		}
		bulk := taskyard.Bulk{Limit: wanted.Limit, DryRun: wanted.DryRun}
		affected, err := do(client, asked.ctx, taskyard.TaskFilter(wanted.Filter), bulk)
		return fault{"count": affected.Count, "ids": affected.IDs}, err
	}
}

// submission is one task to submit, with its options.
type submission struct {
	Type           string       `json:"type"`
	Payload        any          `json:"payload"`
	Make           *making      `json:"make"`
	Queue          *string      `json:"queue"`
	Priority       *int         `json:"priority"`
	Selector       *string      `json:"selector"`
	IdempotencyKey *string      `json:"idempotency_key"`
	RunAt          *time.Time   `json:"run_at"`
	Delay          *duration    `json:"delay"`
	ExpiresAt      *time.Time   `json:"expires_at"`
	Timeout        *duration    `json:"timeout"`
	Traceparent    string       `json:"traceparent"`
	DependsOn      []string     `json:"depends_on"`
	Retry          *retryFields `json:"retry"`
}

type retryFields struct {
	MaxAttempts    int       `json:"max_attempts"`
	InitialBackoff *duration `json:"initial_backoff"`
	Multiplier     float64   `json:"multiplier"`
	MaxBackoff     *duration `json:"max_backoff"`
	Jitter         *float64  `json:"jitter"`
}

func (r retryFields) policy() taskyard.RetryPolicy {
	policy := taskyard.RetryPolicy{
		MaxAttempts: r.MaxAttempts, Multiplier: r.Multiplier, InitialBackoff: r.InitialBackoff.backoff(),
		MaxBackoff: r.MaxBackoff.backoff(),
	}
	if r.Jitter != nil {
		// In Go zero is what was not given.
		if policy.Jitter = *r.Jitter; policy.Jitter == 0 {
			policy.Jitter = taskyard.NoJitter
		}
	}
	return policy
}

func (d *duration) backoff() time.Duration {
	switch {
	case d == nil:
		return 0
	case *d == 0:
		return taskyard.NoBackoff
	}
	return time.Duration(*d)
}

// given is an option of what a field says; none if it says nothing.
func given[T any](value *T, option func(T) taskyard.SubmitOption) []taskyard.SubmitOption {
	if value == nil {
		return nil
	}
	return []taskyard.SubmitOption{option(*value)}
}

func (s submission) options() []taskyard.SubmitOption {
	delay := func(length duration) taskyard.SubmitOption { return taskyard.Delay(time.Duration(length)) }
	timeout := func(length duration) taskyard.SubmitOption { return taskyard.Timeout(time.Duration(length)) }
	retry := func(fields retryFields) taskyard.SubmitOption { return taskyard.Retry(fields.policy()) }
	var all []taskyard.SubmitOption
	for _, some := range [][]taskyard.SubmitOption{
		given(s.Queue, taskyard.Queue), given(s.Priority, taskyard.Priority), given(s.Selector, taskyard.Selector),
		given(s.IdempotencyKey, taskyard.IdempotencyKey), given(s.RunAt, taskyard.RunAt), given(s.Delay, delay),
		given(s.ExpiresAt, taskyard.ExpiresAt), given(s.Timeout, timeout), given(s.Retry, retry),
	} {
		all = append(all, some...)
	}
	return append(all, taskyard.DependsOn(s.DependsOn...))
}

// define is the definition of the task's type, which the SDK may refuse.
func (s submission) define() (definition taskyard.Definition[any, json.RawMessage], err error) {
	defer func() {
		if refused := recover(); refused != nil {
			err = fault{"kind": "Settings", "message": fmt.Sprint(refused)}
		}
	}()
	return taskyard.Define[any, json.RawMessage](s.Type), nil
}

func (s submission) value() (any, error) {
	if s.Make != nil {
		return s.Make.value()
	}
	return s.Payload, nil
}

func submitTask(asked *command) (any, error) {
	var wanted struct {
		ofClient
		submission
	}
	if err := asked.read(&wanted); err != nil {
		return nil, err
	}
	client, err := wanted.find()
	if err != nil {
		return nil, err
	}
	definition, err := wanted.define()
	if err != nil {
		return nil, err
	}
	payload, err := wanted.value()
	if err != nil {
		return nil, err
	}
	handle, err := definition.Submit(within(asked.ctx, wanted.Traceparent), client, payload, wanted.options()...)
	if err != nil {
		return nil, err
	}
	return fault{"task": handle.ID, "deduplicated": handle.Deduplicated}, nil
}

// within is the submitter's span, which the SDK takes the trace context from.
func within(ctx context.Context, traceparent string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
}

func submitTasks(asked *command) (any, error) {
	var wanted struct {
		ofClient
		Tasks []submission `json:"tasks"`
	}
	if err := asked.read(&wanted); err != nil {
		return nil, err
	}
	client, err := wanted.find()
	if err != nil {
		return nil, err
	}
	requests := make([]taskyard.Request, len(wanted.Tasks))
	for i, wanted := range wanted.Tasks {
		definition, err := wanted.define()
		if err != nil {
			return nil, err
		}
		payload, err := wanted.value()
		if err != nil {
			return nil, err
		}
		requests[i] = definition.Request(payload, wanted.options()...)
	}
	results := each(client.SubmitMany(asked.ctx, requests), func(outcome taskyard.Submitted) fault {
		if outcome.Err != nil {
			return fault{"error": describe(outcome.Err)}
		}
		return fault{"task": outcome.ID, "deduplicated": outcome.Deduplicated}
	})
	return fault{"results": results}, nil
}

func countLeaks(*command) (any, error) {
	runtime.GC()
	counts := fault{"goroutines": runtime.NumGoroutine()}
	if open, err := os.ReadDir("/proc/self/fd"); err == nil {
		counts["files"] = len(open)
	}
	return fault{"counts": counts}, nil
}
