package session

import (
	"fmt"
	"testing"
	"time"

	pb "github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

// BenchmarkState is what a task costs in the state machine alone, 100 to a frame.
func BenchmarkState(b *testing.B) {
	const each = 100
	state := New(&pb.Hello{})
	now := time.Now()
	state.Connect(now)
	in := &pb.DispatcherFrame{Welcome: &pb.Welcome{}}
	if _, err := state.Receive(in, now); err != nil {
		b.Fatal(err)
	}
	in.Welcome = nil
	out := &pb.WorkerFrame{}
	assignments, acks, results := make([]*pb.Assignment, each), make([]*pb.ResultAck, each), make([]*pb.TaskResult, each)
	for i := range each {
		assignments[i], acks[i], results[i] = &pb.Assignment{}, &pb.ResultAck{Verdict: pb.Verdict_VERDICT_ACCEPTED}, &pb.TaskResult{}
	}
	ids := make([]string, b.N+each)
	for i := range ids {
		ids[i] = fmt.Sprintf("01993d1f-0000-7000-8000-%012d", i)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += each {
		for i := range each {
			assignments[i].TaskId, acks[i].TaskId, results[i].TaskId = ids[done+i], ids[done+i], ids[done+i]
		}
		in.Assignments, in.Acks = assignments, nil
		got, _ := state.Receive(in, now)
		for i, attempt := range got.Starts {
			state.Finish(attempt, results[i])
		}
		if !state.Next(now, out) {
			b.Fatal("nothing to send")
		}
		in.Assignments, in.Acks = nil, acks
		_, _ = state.Receive(in, now)
	}
}
