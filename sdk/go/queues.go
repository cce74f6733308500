package taskyard

import (
	"context"
	"time"

	"github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

// QueueInfo is how many tasks of a queue are in which state, and its settings.
type QueueInfo struct {
	Namespace string
	Name      string
	Scheduled int64
	Blocked   int64
	Queued    int64
	Running   int64
	Failed    int64
	// OldestAge is how long the oldest QUEUED task has been ready to run; 0 when none is.
	OldestAge time.Duration
	// Retry is what its tasks take where they leave retry fields out.
	Retry *RetryPolicy
	// MaxBacklog: submits are refused while this many tasks wait; 0 means the cluster's limit.
	MaxBacklog int64
}

// Queues are the namespace's queues, by name.
func (c *Client) Queues(ctx context.Context) ([]QueueInfo, error) {
	var found []QueueInfo
	request := &taskyardpb.ListQueuesRequest{Namespace: c.namespace}
	for {
		page := &taskyardpb.ListQueuesResponse{}
		if err := c.calls.ask(ctx, taskyardpb.QueueService_ListQueues_FullMethodName, request, page); err != nil {
			return nil, err
		}
		for _, told := range page.Queues {
			found = append(found, queueOf(told))
		}
		if request.PageToken = page.NextPageToken; request.PageToken == "" {
			return found, nil
		}
	}
}

func queueOf(told *taskyardpb.Queue) QueueInfo {
	return QueueInfo{
		Namespace: told.Namespace, Name: told.Name, Scheduled: told.Scheduled, Blocked: told.Blocked,
		Queued: told.Queued, Running: told.Running, Failed: told.Failed, OldestAge: told.OldestAge.AsDuration(),
		Retry: policyOf(told.Retry), MaxBacklog: told.MaxBacklog,
	}
}
