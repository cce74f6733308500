package taskyard

import (
	"context"
	"errors"
	"iter"

	"github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

// listedAtATime is how many tasks List fetches at a time.
const listedAtATime = 100

// TaskFilter says which tasks are meant; all fields that are set must match. ErrorType compares with Task.Error.Type.
type TaskFilter struct {
	Queue     string
	Type      string
	State     TaskState
	ErrorType string
}

func (f TaskFilter) message(namespace string) (*taskyardpb.TaskFilter, error) {
	wanted := &taskyardpb.TaskFilter{Namespace: namespace, Queue: f.Queue, Type: f.Type, ErrorType: f.ErrorType}
	if f.State != "" {
		state, known := taskyardpb.TaskState_value["TASK_STATE_"+string(f.State)]
		if !known || state == 0 {
			return nil, invalid("state", string(f.State)+" can't be asked for")
		}
		wanted.State = taskyardpb.TaskState(state)
	}
	return wanted, nil
}

// List goes through all tasks of the namespace that fit, newest first. After an error it ends.
func (c *Client) List(ctx context.Context, filter TaskFilter) iter.Seq2[*Task, error] {
	return func(yield func(*Task, error) bool) {
		for page, err := range c.Pages(ctx, filter, listedAtATime) {
			if err != nil {
				yield(nil, err)
				return
			}
			for _, task := range page {
				if !yield(task, nil) {
					return
				}
			}
		}
	}
}

// Pages is List by pages of at most pageSize (1 to 1000) tasks, fetched one by one; a page may be empty.
func (c *Client) Pages(ctx context.Context, filter TaskFilter, pageSize int) iter.Seq2[[]*Task, error] {
	return func(yield func([]*Task, error) bool) {
		wanted, err := filter.message(c.namespace)
		if err == nil && pageSize < 1 {
			err = invalid("page_size", "must be at least 1")
		}
		if err != nil {
			yield(nil, err)
			return
		}
		request := &taskyardpb.ListTasksRequest{Filter: wanted, PageSize: clamped(pageSize)}
		for {
			page, err := c.page(ctx, request)
			if err != nil {
				yield(nil, err)
				return
			}
			tasks := make([]*Task, len(page.Tasks))
			for i, told := range page.Tasks {
				tasks[i] = taskOf(told)
			}
			if !yield(tasks, nil) || page.NextPageToken == "" {
				return
			}
			request.PageToken = page.NextPageToken
		}
	}
}

func (c *Client) page(ctx context.Context, request *taskyardpb.ListTasksRequest) (*taskyardpb.ListTasksResponse, error) {
	for {
		page := &taskyardpb.ListTasksResponse{}
		err := c.calls.ask(ctx, taskyardpb.TaskService_ListTasks_FullMethodName, request, page)
		var failure *Error
		// Pages are counted in tasks, messages limited in bytes: a few tasks fit always.
		if errors.As(err, &failure) && failure.Reason == tooLarge && request.PageSize > 1 {
			request.PageSize /= 2
			continue
		}
		return page, err
	}
}
