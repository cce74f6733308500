package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"time"

	taskyard "github.com/taskyard/taskyard/sdk/go"
)

// KitError is the kit's class of errors, and the other two are what the kit asks for besides.
type (
	KitError       struct{ message string }
	KitFatal       struct{ message string }
	KitUnsupported struct{ message string }
)

func (e *KitError) Error() string       { return e.message }
func (e *KitFatal) Error() string       { return e.message }
func (e *KitUnsupported) Error() string { return e.message }

// deed is what a payload asks for.
type deed struct {
	Do           string          `json:"do"`
	Value        json.RawMessage `json:"value"`
	What         string          `json:"what"`
	Size         *int            `json:"size"`
	Message      string          `json:"message"`
	NonRetryable bool            `json:"non_retryable"`
	Gate         string          `json:"gate"`
	OnStop       string          `json:"on_stop"`
	Seconds      float64         `json:"seconds"`
	Reports      [][]any         `json:"reports"`
}

// kit is the handler of all types.
func kit(ctx taskyard.Context, payload json.RawMessage) (result any, err error) {
	begin(ctx, payload)
	how := "failed"
	defer func() { tell("ended", about(ctx, fault{"how": how})) }()
	wanted := deed{Message: "boom"}
	if json.Unmarshal(payload, &wanted) != nil || wanted.Do == "" {
		how = "returned"
		return payload, nil
	}
	result, err = wanted.carryOut(ctx)
	switch {
	case err == nil:
		how = "returned"
	case errors.Is(err, context.Canceled):
		how = "stopped"
	}
	return result, err
}

func about(ctx taskyard.Context, fields fault) fault {
	fields["task"], fields["attempt"] = ctx.TaskID(), ctx.Attempt()
	return fields
}

func begin(ctx taskyard.Context, payload json.RawMessage) {
	started := about(ctx, fault{
		"worker": "w", "type": ctx.Type(), "payload": payload, "queue": ctx.Queue(),
		"failures": ctx.Failures(), "crashes": ctx.Crashes(), "created_at": moment(ctx.CreatedAt()),
	})
	if deadline, ok := ctx.Deadline(); ok {
		started["deadline"] = moment(deadline)
	}
	tell("started", started)
}

func (d deed) carryOut(ctx taskyard.Context) (any, error) {
	switch d.Do {
	case "return":
		return d.Value, nil
	case "make":
		value, err := making{d.What, d.size()}.value()
		if err != nil {
			return nil, &KitUnsupported{d.What}
		}
		return value, nil
	case "fail":
		return nil, d.failure()
	case "panic":
		panic("boom")
	case "exit":
		runtime.Goexit()
	case "gate":
		return d.wait(ctx)
	case "progress":
		return d.progress(ctx)
	case "burn":
		burn(time.Duration(d.Seconds * float64(time.Second)))
		return nil, nil
	case "log":
		slog.InfoContext(ctx, d.Message)
		return nil, nil
	}
	return nil, &KitUnsupported{fmt.Sprintf("no deed %q", d.Do)}
}

func (d deed) size() int {
	if d.Size == nil {
		return 0
	}
	return *d.Size
}

func (d deed) failure() error {
	if d.Size != nil {
		d.Message = strings.Repeat("é", *d.Size)
	}
	if d.NonRetryable {
		return taskyard.NonRetryable(&KitFatal{d.Message})
	}
	return &KitError{d.Message}
}

func (d deed) progress(ctx taskyard.Context) (any, error) {
	for _, report := range d.Reports {
		fraction, _ := report[0].(float64)
		message := ""
		if len(report) > 1 {
			message, _ = report[1].(string)
		}
		if err := ctx.Progress(fraction, message); err != nil {
			return nil, err
		}
	}
	if d.Gate == "" {
		return d.Value, nil
	}
	return d.wait(ctx)
}

func (d deed) wait(ctx taskyard.Context) (any, error) {
	opened := gate(d.Gate)
	select {
	case <-opened:
		return d.Value, nil
	case <-ctx.Done():
	}
	tell("stopped", about(ctx, fault{"cause": causes[context.Cause(ctx)]}))
	switch d.OnStop {
	case "return":
		return d.Value, nil
	case "fail":
		return nil, &KitError{"boom"}
	case "ignore":
		<-opened
		return d.Value, nil
	}
	return nil, ctx.Err()
}

var causes = map[error]string{
	taskyard.ErrCancelled: "CANCELLED", taskyard.ErrTimedOut: "TIMEOUT",
	taskyard.ErrLost: "LOST", taskyard.ErrShutdown: "SHUTDOWN",
}

// burn keeps every processor busy that Go uses.
func burn(long time.Duration) {
	until := time.Now().Add(long)
	var busy sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		busy.Add(1)
		go func() {
			defer busy.Done()
			for time.Now().Before(until) {
			}
		}()
	}
	busy.Wait()
}

var gates = struct {
	sync.Mutex
	byName map[string]chan struct{}
}{byName: map[string]chan struct{}{}}

// gate is closed once the gate is open.
func gate(name string) chan struct{} {
	gates.Lock()
	defer gates.Unlock()
	if gates.byName[name] == nil {
		gates.byName[name] = make(chan struct{})
	}
	return gates.byName[name]
}

func openGate(asked *command) (any, error) {
	var which struct {
		Gate string `json:"gate"`
	}
	if err := asked.read(&which); err != nil {
		return nil, err
	}
	opened := gate(which.Gate)
	gates.Lock()
	defer gates.Unlock()
	select {
	case <-opened:
	default:
		close(opened)
	}
	return nil, nil
}
