package taskyard_test

import (
	"encoding/json"
	"fmt"
	"testing"

	taskyard "github.com/taskyard/taskyard/sdk/go"
	pb "github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

// BenchmarkNoop runs tasks that do nothing, 1000 at a time. Its figures include the stub of a dispatcher, which is in the
// same process; frames/op is how many of the worker's frames a task takes.
func BenchmarkNoop(b *testing.B) {
	const slots = 1000
	d := newDispatcher(b)
	settings := options(d)
	settings.Slots = slots
	worker := taskyard.NewWorker(settings)
	noop := taskyard.Define[json.RawMessage, any]("noop")
	noop.Handle(worker, func(taskyard.Context, json.RawMessage) (any, error) { return nil, nil })
	serve(b, worker)
	s, _ := d.welcomed()
	b.ReportAllocs()
	b.ResetTimer()
	given, frames := 0, 0
	give := func(number int, acks []*pb.ResultAck) {
		frame := &pb.DispatcherFrame{Acks: acks}
		for ; number > 0 && given < b.N; number-- {
			given++
			frame.Assignments = append(frame.Assignments, &pb.Assignment{
				TaskId: fmt.Sprintf("01993d1f-0000-7000-8000-%012d", given), Attempt: 1, Type: "noop", Queue: "default",
			})
		}
		s.send(frame)
	}
	give(slots, nil)
	for done := 0; done < b.N; {
		frame := s.frame()
		frames++
		acks := make([]*pb.ResultAck, len(frame.Results))
		for i, result := range frame.Results {
			acks[i] = &pb.ResultAck{TaskId: result.TaskId, Attempt: 1, Verdict: pb.Verdict_VERDICT_ACCEPTED}
		}
		done += len(acks)
		give(len(acks), acks)
	}
	b.StopTimer()
	b.ReportMetric(float64(frames)/float64(b.N), "frames/op")
}
