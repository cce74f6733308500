package taskyard

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

// Bulk bounds what RedriveMany and PurgeMany do.
type Bulk struct {
	// Limit is how many tasks at most, 1 to 10000; 1000 by default. The oldest go first.
	Limit int
	// DryRun only counts.
	DryRun bool
}

// Affected is what RedriveMany or PurgeMany did, or on a dry run would do.
type Affected struct {
	// Count is how many tasks.
	Count int
	// IDs are the first 100 of them.
	IDs []string
}

// RedriveMany queues FAILED tasks that fit again.
func (c *Client) RedriveMany(ctx context.Context, filter TaskFilter, bulk Bulk) (Affected, error) {
	wanted, err := filter.message(c.namespace)
	if err != nil {
		return Affected{}, err
	}
	request := &taskyardpb.RedriveTasksRequest{Filter: wanted, Limit: clamped(bulk.Limit), DryRun: bulk.DryRun}
	answer := &taskyardpb.RedriveTasksResponse{}
	err = c.bulk(ctx, taskyardpb.TaskService_RedriveTasks_FullMethodName, request, answer, bulk)
	return Affected{int(answer.Count), answer.Ids}, err
}

// PurgeMany deletes FAILED tasks that fit.
func (c *Client) PurgeMany(ctx context.Context, filter TaskFilter, bulk Bulk) (Affected, error) {
	wanted, err := filter.message(c.namespace)
	if err != nil {
		return Affected{}, err
	}
	request := &taskyardpb.PurgeTasksRequest{Filter: wanted, Limit: clamped(bulk.Limit), DryRun: bulk.DryRun}
	answer := &taskyardpb.PurgeTasksResponse{}
	err = c.bulk(ctx, taskyardpb.TaskService_PurgeTasks_FullMethodName, request, answer, bulk)
	return Affected{int(answer.Count), answer.Ids}, err
}

func (c *Client) bulk(ctx context.Context, method string, request, answer proto.Message, bulk Bulk) error {
	if bulk.DryRun {
		return c.calls.ask(ctx, method, request, answer)
	}
	return c.calls.do(ctx, method, request, answer, false)
}

// clamped is a number as the wire has it; what does not fit is out of the server's bounds either way.
func clamped(number int) int32 { return int32(max(min(number, 1<<31-1), -1<<31)) }
