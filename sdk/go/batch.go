package taskyard

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

const (
	batchTasks = 1000
	// Of the 4 MiB that the server takes, with room for what frames each task.
	batchBytes = 4<<20 - 64<<10
	frameBytes = 8
	// batchesAtOnce is how many batches of one SubmitMany are on their way at the same time.
	batchesAtOnce = 3
)

// submitted is what became of one task: it is durable, or err says why not.
type submitted struct {
	id           string
	deduplicated bool
	err          error
}

// sizeOf is the bytes a task takes in a batch; an error if it is too large for any.
func sizeOf(spec *taskyardpb.TaskSpec) (int, error) {
	size := proto.Size(spec) + frameBytes
	if size > batchBytes {
		return size, invalid("payload", fmt.Sprintf("makes a task of %d bytes; too large to send", size))
	}
	return size, nil
}

// batches cuts tasks into batches. Lanes that send them share one.
type batches struct {
	mu sync.Mutex
	// specs is nil at the places of tasks whose outcome is known already.
	specs    []*taskyardpb.TaskSpec
	next     int
	outcomes []submitted
}

// take is the next batch and the place of each of its tasks; an empty one is the end.
func (b *batches) take() (places []int, specs []*taskyardpb.TaskSpec) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for room := batchBytes; b.next < len(b.specs) && len(specs) < batchTasks; b.next++ {
		spec := b.specs[b.next]
		if spec == nil {
			continue
		}
		size, err := sizeOf(spec)
		if err != nil {
			b.outcomes[b.next].err = err
			continue
		}
		if size > room {
			break
		}
		places, specs, room = append(places, b.next), append(specs, spec), room-size
	}
	return places, specs
}

// submitAll fills in what became of each task that is not nil.
func submitAll(ctx context.Context, calls *calls, specs []*taskyardpb.TaskSpec, outcomes []submitted) {
	all := &batches{specs: specs, outcomes: outcomes}
	var lanes sync.WaitGroup
	for range min(batchesAtOnce, 1+len(specs)/batchTasks) {
		lanes.Add(1)
		go func() {
			defer lanes.Done()
			for places, specs := all.take(); len(specs) > 0; places, specs = all.take() {
				for i, outcome := range submitBatch(ctx, calls, specs) {
					outcomes[places[i]] = outcome
				}
			}
		}()
	}
	lanes.Wait()
}

// submitBatch tells what became of each task, in order; a call that fails is the outcome of all its tasks. When the
// answer is lost, only tasks with an idempotency key are sent again: the others might run twice.
func submitBatch(ctx context.Context, calls *calls, specs []*taskyardpb.TaskSpec) []submitted {
	var keyed []*taskyardpb.TaskSpec
	for _, spec := range specs {
		if spec.IdempotencyKey != "" {
			keyed = append(keyed, spec)
		}
	}
	repeatable := len(keyed) == len(specs)
	outcomes, err := sendBatch(ctx, calls, specs, repeatable)
	if err == nil {
		return outcomes
	}
	outcomes = make([]submitted, len(specs))
	var again []submitted
	if !repeatable && len(keyed) > 0 && answerLost(err) {
		again = submitBatch(ctx, calls, keyed)
	}
	for i, spec := range specs {
		outcomes[i].err = err
		if spec.IdempotencyKey != "" && len(again) > 0 {
			outcomes[i], again = again[0], again[1:]
		}
	}
	return outcomes
}

func answerLost(err error) bool {
	var failure *Error
	return errors.As(err, &failure) && failure.Kind == ErrUnavailable && failure.OutcomeUnknown
}

func sendBatch(
	ctx context.Context, calls *calls, specs []*taskyardpb.TaskSpec, repeatable bool,
) ([]submitted, error) {
	request := &taskyardpb.SubmitTasksRequest{Tasks: specs, IdsOnly: true}
	answer := &taskyardpb.SubmitTasksResponse{}
	if err := calls.do(ctx, taskyardpb.TaskService_SubmitTasks_FullMethodName, request, answer, repeatable); err != nil {
		return nil, err
	}
	if len(answer.Results) != len(specs) {
		said := fmt.Sprintf("the server answered %d of %d tasks", len(answer.Results), len(specs))
		return nil, &Error{Kind: ErrServer, Message: said, OutcomeUnknown: true}
	}
	outcomes := make([]submitted, len(specs))
	for i, result := range answer.Results {
		// An id is never empty.
		if id := result.GetTask().GetId(); id != "" {
			outcomes[i] = submitted{id: id, deduplicated: result.Deduplicated}
		} else {
			outcomes[i].err = refusedItem(result.GetError())
		}
	}
	return outcomes, nil
}
