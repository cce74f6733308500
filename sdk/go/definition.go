package taskyard

import (
	"encoding/json"
	"fmt"
	"regexp"
)

// Definition is a type of task: its name, what it takes and what it returns. Submitter and worker share it.
type Definition[In, Out any] struct {
	name string
}

var typeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)

// Define names a type of task, usually in a package variable:
//
//	var Greet = taskyard.Define[Town, string]("town.greet")
//
// In and Out travel as JSON. A name has 1 to 128 letters, digits, '.', '_' and '-' and begins with a letter or a digit;
// Define panics for any other.
func Define[In, Out any](name string) Definition[In, Out] {
	if !typeName.MatchString(name) {
		panic(fmt.Sprintf("taskyard: a task type has 1 to 128 letters, digits, '.', '_' and '-' and begins with a letter "+
			"or digit, got %q", name))
	}
	return Definition[In, Out]{name}
}

// Name is the task type.
func (d Definition[In, Out]) Name() string { return d.name }

// Handle makes a function the worker's handler of this type. A type has one handler: Run refuses a second one.
//
// What the function returns besides an error is the task's result. An error is retried as the task's policy says,
// unless it is NonRetryable. A function that is told to stop, which ends its context, returns the context's error.
func (d Definition[In, Out]) Handle(w *Worker, function func(Context, In) (Out, error)) {
	w.handle(d.name, func(ctx Context, payload []byte) ([]byte, error) {
		var in In
		if err := decodeJSON(payload, &in); err != nil {
			return nil, &payloadError{err}
		}
		out, err := function(ctx, in)
		if err != nil {
			return nil, err
		}
		return encodeResult(out)
	})
}

// Any is a definition for payloads and results of any shape, as the bytes they are.
func Any(name string) Definition[json.RawMessage, json.RawMessage] {
	return Define[json.RawMessage, json.RawMessage](name)
}
