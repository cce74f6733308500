package taskyard

import (
	"context"
	"fmt"
)

// Handle is a durable task whose handler returns an Out.
type Handle[Out any] struct {
	// ID is the task's id.
	ID string
	// Deduplicated: the idempotency key was known, so this is the task submitted first.
	Deduplicated bool

	client *Client
}

// Result is what the handler returned, once the task is over.
//
// It waits until the context ends, also while the cluster is away. Many waits at once are cheap. A task without a
// result is a *TaskFailedError, a *TaskCancelledError or a *TaskExpiredError; when the context ends first, the task
// goes on.
func (h *Handle[Out]) Result(ctx context.Context) (Out, error) {
	task, err := h.Wait(ctx)
	if err != nil {
		var none Out
		return none, err
	}
	return resultOf[Out](task)
}

func resultOf[Out any](task *Task) (Out, error) {
	var result Out
	if err := unsuccessful(task); err != nil {
		return result, err
	}
	if err := decodeJSON(task.Result, &result); err != nil {
		said := fmt.Sprintf("the result of %s does not fit: %s", naming(task), err)
		return result, &Error{Kind: ErrMismatch, Message: said, cause: err}
	}
	return result, nil
}

// Wait is the task once it is over, however it ended.
func (h *Handle[Out]) Wait(ctx context.Context) (*Task, error) { return h.client.Wait(ctx, h.ID) }

// Get is the task as it is now.
func (h *Handle[Out]) Get(ctx context.Context) (*Task, error) { return h.client.Get(ctx, h.ID) }

// State is where the task stands now.
func (h *Handle[Out]) State(ctx context.Context) (TaskState, error) {
	task, err := h.Get(ctx)
	if err != nil {
		return "", err
	}
	return task.State, nil
}

// Cancel cancels the task; see Client.Cancel.
func (h *Handle[Out]) Cancel(ctx context.Context) (*Task, error) { return h.client.Cancel(ctx, h.ID) }
