// Command taskyard-testee lets the conformance kit drive this SDK: commands come in as lines of JSON, and what happens
// goes out as such. conformance/README.md is the contract.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"sync"

	taskyard "github.com/taskyard/taskyard/sdk/go"
)

// command is one line of the kit's.
type command struct {
	ID int64
	Do string
	// ctx ends when the kit aborts the command.
	ctx    context.Context
	fields map[string]json.RawMessage
}

// read reads the command's fields; one that the struct lacks is Unsupported.
func (c *command) read(into any) error {
	document, err := json.Marshal(c.fields)
	if err != nil {
		return err
	}
	return strictly(document, into)
}

func strictly(document []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.DisallowUnknownFields()
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return fault{"kind": "Unsupported", "message": err.Error()}
	}
	return nil
}

// fault is an error as the kit's contract writes it.
type fault map[string]any

func (f fault) Error() string { return "a fault" }

var (
	commands = map[string]func(*command) (any, error){"abort": abort}
	features []string
	// faults know some errors each; one answers nil for what it doesn't know.
	faults []func(error) fault

	writing sync.Mutex
	running = struct {
		sync.Mutex
		ends map[int64]context.CancelFunc
	}{ends: map[int64]context.CancelFunc{}}
)

func main() {
	slices.Sort(features)
	tell("ready", fault{"protocol": 1, "sdk": "go/" + taskyard.Version, "features": features})
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			take(line)
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			panic(err)
		}
	}
}

// take begins a command. It is known by its id before the next line is read, so that it can be aborted.
func take(line []byte) {
	var head struct {
		ID int64
		Do string
	}
	var fields map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(line, &head), json.Unmarshal(line, &fields)); err != nil {
		panic(err)
	}
	delete(fields, "id")
	delete(fields, "do")
	ctx, end := context.WithCancel(context.Background())
	running.Lock()
	running.ends[head.ID] = end
	running.Unlock()
	go func() {
		reply(&command{head.ID, head.Do, ctx, fields})
		running.Lock()
		delete(running.ends, head.ID)
		running.Unlock()
		end()
	}()
}

func reply(asked *command) {
	do, known := commands[asked.Do]
	if !known {
		tell("reply", fault{"id": asked.ID, "error": fault{"kind": "Unsupported", "message": "no command " + asked.Do}})
		return
	}
	answer, err := do(asked)
	if err != nil {
		tell("reply", fault{"id": asked.ID, "error": describe(err)})
		return
	}
	if answer == nil {
		answer = fault{}
	}
	tell("reply", fault{"id": asked.ID, "ok": answer})
}

func abort(asked *command) (any, error) {
	var about struct{ Of int64 }
	if err := asked.read(&about); err != nil {
		return nil, err
	}
	running.Lock()
	defer running.Unlock()
	if end := running.ends[about.Of]; end != nil {
		end()
	}
	return nil, nil
}

func describe(err error) fault {
	var own fault
	if errors.As(err, &own) {
		return own
	}
	for _, know := range faults {
		if known := know(err); known != nil {
			return known
		}
	}
	return fault{"kind": "Other", "message": err.Error()}
}

// tell writes one event.
func tell(event string, fields fault) {
	fields["event"] = event
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(fields); err != nil {
		panic(err)
	}
	writing.Lock()
	defer writing.Unlock()
	if _, err := os.Stdout.Write(line.Bytes()); err != nil {
		os.Exit(1)
	}
}
