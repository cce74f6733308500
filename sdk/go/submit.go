package taskyard

import (
	"context"
	"crypto/rand"

	"google.golang.org/protobuf/proto"

	"github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

// Submit hands over one task; when it returns, the task is durable.
//
// Submits made at the same time travel in one call. When the context ends before the task was sent, it is never sent;
// later, the outcome is unknown.
func (d Definition[In, Out]) Submit(
	ctx context.Context, client *Client, in In, options ...SubmitOption,
) (*Handle[Out], error) {
	request := d.Request(in, options...)
	if request.err != nil {
		return nil, request.err
	}
	client.address(request.spec, traceparent(ctx))
	outcome := client.gatherer.submit(ctx, request.spec)
	if outcome.err != nil {
		return nil, outcome.err
	}
	return &Handle[Out]{outcome.id, outcome.deduplicated, client}, nil
}

// Task is a handle on a task of this type that was submitted earlier or elsewhere; it asks nothing of the server.
func (d Definition[In, Out]) Task(client *Client, id string) *Handle[Out] {
	return &Handle[Out]{ID: id, client: client}
}

// Request is one task for Client.SubmitMany.
func (d Definition[In, Out]) Request(in In, options ...SubmitOption) Request {
	payload, err := encodeJSON(in)
	if err != nil {
		refusal := invalid("payload", "is not JSON: "+err.Error())
		refusal.cause = err
		return Request{err: refusal}
	}
	spec := &taskyardpb.TaskSpec{Type: d.name, Payload: payload}
	for _, option := range options {
		if err := option(spec); err != nil {
			return Request{err: err}
		}
	}
	return Request{spec: spec}
}

// Request is a task that is to be submitted; a Definition makes it. What can't be sent of it is told when it is
// submitted.
type Request struct {
	spec *taskyardpb.TaskSpec
	err  error
}

// Submitted is what became of one task of a SubmitMany: it is durable and has an ID, or Err says why not.
type Submitted struct {
	ID string
	// Deduplicated: the idempotency key was known, so this is the task submitted first.
	Deduplicated bool
	Err          error
}

// SubmitMany hands over any number of tasks, in as many calls as it takes, and tells what became of each, in order. One
// that is refused, or whose call fails, keeps none of the others.
func (c *Client) SubmitMany(ctx context.Context, requests []Request) []Submitted {
	trace := traceparent(ctx)
	specs := make([]*taskyardpb.TaskSpec, len(requests))
	outcomes := make([]submitted, len(requests))
	for i, request := range requests {
		switch {
		case request.err != nil:
			outcomes[i].err = request.err
		case request.spec == nil:
			outcomes[i].err = invalid("task", "is a Request that no Definition made")
		default:
			// A request may be submitted again, so it stays as it is.
			specs[i] = proto.CloneOf(request.spec)
			c.address(specs[i], trace)
		}
	}
	submitAll(ctx, c.calls, specs, outcomes)
	told := make([]Submitted, len(requests))
	for i, outcome := range outcomes {
		told[i] = Submitted{outcome.id, outcome.deduplicated, outcome.err}
	}
	return told
}

// address adds what is the client's to a task.
func (c *Client) address(spec *taskyardpb.TaskSpec, trace string) {
	spec.Namespace, spec.Traceparent = c.namespace, trace
	if c.generateKeys && spec.IdempotencyKey == "" {
		spec.IdempotencyKey = "sdk-" + rand.Text()
	}
}
