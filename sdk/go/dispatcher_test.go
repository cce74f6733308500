package taskyard_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	taskyard "github.com/taskyard/taskyard/sdk/go"
	pb "github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

// patience is for what must come; it takes milliseconds on a quiet machine.
const patience = 20 * time.Second

// dispatcher plays one: each test says what it sends.
type dispatcher struct {
	pb.UnimplementedWorkerServiceServer
	t       testing.TB
	address string
	server  *grpc.Server
	streams chan *stream
}

// stream is one that a worker has opened.
type stream struct {
	t        testing.TB
	received chan *pb.WorkerFrame
	// gone is closed when the worker's side is at its end.
	gone chan struct{}
	// over has what the dispatcher ends the stream with.
	over chan error
	wire grpc.BidiStreamingServer[pb.WorkerFrame, pb.DispatcherFrame]
}

func newDispatcher(t testing.TB) *dispatcher {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &dispatcher{
		t: t, address: listener.Addr().String(), server: grpc.NewServer(), streams: make(chan *stream, 100),
	}
	pb.RegisterWorkerServiceServer(d.server, d)
	served := make(chan error, 1)
	go func() { served <- d.server.Serve(listener) }()
	t.Cleanup(func() {
		d.server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return d
}

// Session is a stream's life on the server.
func (d *dispatcher) Session(wire grpc.BidiStreamingServer[pb.WorkerFrame, pb.DispatcherFrame]) error {
	s := &stream{
		t: d.t, received: make(chan *pb.WorkerFrame, 10_000), gone: make(chan struct{}), over: make(chan error, 1), wire: wire,
	}
	go func() {
		defer close(s.gone)
		for {
			frame, err := wire.Recv()
			if err != nil {
				return
			}
			s.received <- frame
		}
	}()
	d.streams <- s
	select {
	case err := <-s.over:
		return err
	case <-s.gone:
		return nil
	}
}

func within[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case got := <-from:
		return got
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
		panic("not reached")
	}
}

// opened is the next stream and its hello, which nothing has been answered.
func (d *dispatcher) opened() (*stream, *pb.Hello) {
	d.t.Helper()
	s := within(d.t, "a stream", d.streams)
	return s, s.frame().Hello
}

// welcomed is the next stream and its hello, after the welcome.
func (d *dispatcher) welcomed() (*stream, *pb.Hello) {
	d.t.Helper()
	s, hello := d.opened()
	s.send(&pb.DispatcherFrame{Welcome: &pb.Welcome{Dispatcher: "stub", Generation: 1}})
	return s, hello
}

func (s *stream) frame() *pb.WorkerFrame {
	s.t.Helper()
	return within(s.t, "a frame", s.received)
}

func (s *stream) send(frame *pb.DispatcherFrame) {
	s.t.Helper()
	if err := s.wire.Send(frame); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stream) assign(assignments ...*pb.Assignment) {
	s.t.Helper()
	s.send(&pb.DispatcherFrame{Assignments: assignments})
}

func (s *stream) stop(id string, reason pb.StopReason) {
	s.t.Helper()
	s.send(&pb.DispatcherFrame{Stops: []*pb.Stop{{TaskId: id, Attempt: 1, Reason: reason}}})
}

// result is the next one, not acknowledged.
func (s *stream) result() *pb.TaskResult {
	s.t.Helper()
	for {
		if frame := s.frame(); len(frame.Results) > 0 {
			if len(frame.Results) > 1 {
				s.t.Fatalf("%d results in one frame, where one was due", len(frame.Results))
			}
			return frame.Results[0]
		}
	}
}

func (s *stream) ack(results ...*pb.TaskResult) {
	s.t.Helper()
	frame := &pb.DispatcherFrame{}
	for _, result := range results {
		frame.Acks = append(frame.Acks, &pb.ResultAck{
			TaskId: result.TaskId, Attempt: result.Attempt, Verdict: pb.Verdict_VERDICT_ACCEPTED,
		})
	}
	s.send(frame)
}

// finished is the next result, acknowledged.
func (s *stream) finished() *pb.TaskResult {
	s.t.Helper()
	result := s.result()
	s.ack(result)
	return result
}

// end ends the stream as a dispatcher does.
func (s *stream) end(code codes.Code, message string) { s.over <- status.Error(code, message) }

func task(id, kind, payload string) *pb.Assignment {
	return &pb.Assignment{TaskId: id, Attempt: 1, Type: kind, Queue: "default", Payload: []byte(payload)}
}

func limited(assignment *pb.Assignment, limit time.Duration) *pb.Assignment {
	assignment.Timeout = durationpb.New(limit)
	return assignment
}

// serve serves a worker until the test ends; what is answered stops it and waits for its end.
func serve(t testing.TB, worker *taskyard.Worker) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- worker.Serve(ctx) }()
	stopped := false
	stop = func() error {
		stopped = true
		cancel()
		return within(t, "the worker's end", ended)
	}
	t.Cleanup(func() {
		if !stopped {
			_ = stop()
		}
	})
	return stop
}

func options(dispatchers ...*dispatcher) taskyard.WorkerOptions {
	var addresses []string
	for _, d := range dispatchers {
		addresses = append(addresses, d.address)
	}
	return taskyard.WorkerOptions{Dispatchers: addresses, Grace: 50 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)}
}

func described(result *pb.TaskResult) string {
	if failure := result.GetError(); failure != nil {
		return fmt.Sprintf("%s: %s (retryable: %v)", failure.Type, failure.Message, failure.Retryable)
	}
	if result.GetCancelled() {
		return "cancelled"
	}
	return string(result.GetResult())
}
