package taskyard

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

// fakeScheduler keeps tasks in memory and does what a test tells it besides.
type fakeScheduler struct {
	taskyardpb.UnimplementedTaskServiceServer
	taskyardpb.UnimplementedQueueServiceServer
	taskyardpb.UnimplementedClusterServiceServer

	mu      sync.Mutex
	tasks   map[string]*taskyardpb.Task
	keys    map[string]string
	batches []*taskyardpb.SubmitTasksRequest
	changed chan struct{}
	// streams is how many watches are open, mostStreams how many were at once.
	streams, mostStreams int
	opened               int

	// onSubmit, if set, is asked before tasks are stored; afterSubmit after that.
	onSubmit    func(context.Context, *taskyardpb.SubmitTasksRequest) (*taskyardpb.SubmitTasksResponse, error)
	afterSubmit func() error
	onList      func(*taskyardpb.ListTasksRequest) (*taskyardpb.ListTasksResponse, error)
	onGet       func(*taskyardpb.GetTaskRequest) (*taskyardpb.Task, error)
	onRedrive   func() error
	onBulk      func(filter *taskyardpb.TaskFilter, limit int32, dryRun bool) (int32, []string, error)
}

func newFakeScheduler() *fakeScheduler {
	return &fakeScheduler{
		tasks: make(map[string]*taskyardpb.Task), keys: make(map[string]string), changed: make(chan struct{}),
	}
}

// serve starts the scheduler at an address ("127.0.0.1:0" for any) and answers where it is, and how to stop it.
func (s *fakeScheduler) serve(t *testing.T, address string, options ...grpc.ServerOption) (string, func()) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	taskyardpb.RegisterTaskServiceServer(server, s)
	taskyardpb.RegisterQueueServiceServer(server, s)
	taskyardpb.RegisterClusterServiceServer(server, s)
	alive := health.NewServer()
	alive.SetServingStatus("liveness", grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(server, alive)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	stop := sync.OnceFunc(func() {
		server.Stop()
		<-served
	})
	t.Cleanup(stop)
	return listener.Addr().String(), stop
}

func (s *fakeScheduler) SubmitTasks(
	ctx context.Context, request *taskyardpb.SubmitTasksRequest,
) (*taskyardpb.SubmitTasksResponse, error) {
	s.mu.Lock()
	s.batches = append(s.batches, request)
	before, after := s.onSubmit, s.afterSubmit
	s.mu.Unlock()
	if before != nil {
		if answer, err := before(ctx, request); answer != nil || err != nil {
			return answer, err
		}
	}
	answer := &taskyardpb.SubmitTasksResponse{}
	for _, spec := range request.Tasks {
		answer.Results = append(answer.Results, s.store(spec))
	}
	if after != nil {
		if err := after(); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

func (s *fakeScheduler) store(spec *taskyardpb.TaskSpec) *taskyardpb.SubmitResult {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, known := s.keys[spec.IdempotencyKey]
	if !known {
		id = fmt.Sprintf("0193a1b2-0000-7000-8000-%012d", len(s.tasks))
		s.tasks[id] = &taskyardpb.Task{
			Id: id, Type: spec.Type, Payload: spec.Payload, State: taskyardpb.TaskState_TASK_STATE_QUEUED,
			CreatedAt: timestamppb.New(time.Unix(1, 2)),
		}
	}
	if spec.IdempotencyKey != "" {
		s.keys[spec.IdempotencyKey] = id
	}
	task := &taskyardpb.SubmitResult_Task{Task: &taskyardpb.Task{Id: id}}
	return &taskyardpb.SubmitResult{Outcome: task, Deduplicated: known}
}

// end makes a task terminal.
func (s *fakeScheduler) end(id string, state taskyardpb.TaskState, result string, failure *taskyardpb.TaskError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ended := &taskyardpb.Task{Id: id, State: state, Result: []byte(result), Error: failure}
	if task := s.tasks[id]; task != nil {
		ended.Type, ended.Payload = task.Type, task.Payload
	}
	s.tasks[id] = ended
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *fakeScheduler) stored() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.tasks)
}

func (s *fakeScheduler) received() []*taskyardpb.SubmitTasksRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*taskyardpb.SubmitTasksRequest(nil), s.batches...)
}

func (s *fakeScheduler) WatchTasks(
	request *taskyardpb.WatchTasksRequest, stream grpc.ServerStreamingServer[taskyardpb.WatchTasksResponse],
) error {
	s.countStreams(1)
	defer s.countStreams(-1)
	left := request.Ids
	for len(left) > 0 {
		answer, waiting, changed := s.seen(left)
		if len(answer.Tasks)+len(answer.UnknownIds) > 0 {
			if err := stream.Send(answer); err != nil {
				return err
			}
		}
		if left = waiting; len(left) == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
	return nil
}

func (s *fakeScheduler) countStreams(by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams += by
	s.mostStreams = max(s.mostStreams, s.streams)
	if by > 0 {
		s.opened++
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// until waits for something to become true of the scheduler.
func (s *fakeScheduler) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		s.mu.Lock()
		fine, changed := holds(), s.changed
		s.mu.Unlock()
		if fine {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatal("never: " + what)
		}
	}
}

func (s *fakeScheduler) seen(ids []string) (*taskyardpb.WatchTasksResponse, []string, chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := &taskyardpb.WatchTasksResponse{}
	var waiting []string
	for _, id := range ids {
		switch task := s.tasks[id]; {
		case task == nil:
			answer.UnknownIds = append(answer.UnknownIds, id)
		case stateOf(task.State).Terminal():
			answer.Tasks = append(answer.Tasks, task)
		default:
			waiting = append(waiting, id)
		}
	}
	return answer, waiting, s.changed
}

func (s *fakeScheduler) GetTask(_ context.Context, request *taskyardpb.GetTaskRequest) (*taskyardpb.Task, error) {
	if s.onGet != nil {
		return s.onGet(request)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if task := s.tasks[request.Id]; task != nil {
		return task, nil
	}
	return nil, status.Error(codes.NotFound, "no task "+request.Id)
}

func (s *fakeScheduler) ListTasks(
	_ context.Context, request *taskyardpb.ListTasksRequest,
) (*taskyardpb.ListTasksResponse, error) {
	return s.onList(request)
}

func (s *fakeScheduler) CancelTask(ctx context.Context, request *taskyardpb.CancelTaskRequest) (*taskyardpb.Task, error) {
	s.end(request.Id, taskyardpb.TaskState_TASK_STATE_CANCELLED, "", nil)
	return s.GetTask(ctx, &taskyardpb.GetTaskRequest{Id: request.Id})
}

func (s *fakeScheduler) RedriveTask(
	_ context.Context, request *taskyardpb.RedriveTaskRequest,
) (*taskyardpb.Task, error) {
	if err := s.onRedrive(); err != nil {
		return nil, err
	}
	return &taskyardpb.Task{Id: request.Id, State: taskyardpb.TaskState_TASK_STATE_QUEUED}, nil
}

func (s *fakeScheduler) RedriveTasks(
	_ context.Context, request *taskyardpb.RedriveTasksRequest,
) (*taskyardpb.RedriveTasksResponse, error) {
	count, ids, err := s.onBulk(request.Filter, request.Limit, request.DryRun)
	return &taskyardpb.RedriveTasksResponse{Count: count, Ids: ids}, err
}

func (s *fakeScheduler) PurgeTasks(
	_ context.Context, request *taskyardpb.PurgeTasksRequest,
) (*taskyardpb.PurgeTasksResponse, error) {
	count, ids, err := s.onBulk(request.Filter, request.Limit, request.DryRun)
	return &taskyardpb.PurgeTasksResponse{Count: count, Ids: ids}, err
}

// pageOf is one of two pages: the first has the token "more".
func pageOf[T any](token string, all []T) ([]T, string) {
	if token == "" {
		return all[:1], "more"
	}
	return all[1:], ""
}

func (s *fakeScheduler) ListAttempts(
	_ context.Context, request *taskyardpb.ListAttemptsRequest,
) (*taskyardpb.ListAttemptsResponse, error) {
	failed := &taskyardpb.Attempt{
		TaskId: request.TaskId, Attempt: 1, Outcome: taskyardpb.AttemptOutcome_ATTEMPT_OUTCOME_TIMED_OUT,
		Error: &taskyardpb.TaskError{Type: "TIMEOUT"},
	}
	runs := []*taskyardpb.Attempt{failed, {TaskId: request.TaskId, Attempt: 2}}
	page, next := pageOf(request.PageToken, runs)
	return &taskyardpb.ListAttemptsResponse{Attempts: page, NextPageToken: next}, nil
}

func (s *fakeScheduler) ListQueues(
	_ context.Context, request *taskyardpb.ListQueuesRequest,
) (*taskyardpb.ListQueuesResponse, error) {
	queues := []*taskyardpb.Queue{{Name: "a", Queued: 3}, {Name: "b", Namespace: request.Namespace}}
	page, next := pageOf(request.PageToken, queues)
	return &taskyardpb.ListQueuesResponse{Queues: page, NextPageToken: next}, nil
}

func (s *fakeScheduler) ListWorkers(
	_ context.Context, request *taskyardpb.ListWorkersRequest,
) (*taskyardpb.ListWorkersResponse, error) {
	workers := []*taskyardpb.Worker{{Name: "w1", Labels: map[string]string{"io": "ssd"}}, {Name: "w2", Slots: 7}}
	page, next := pageOf(request.PageToken, workers)
	return &taskyardpb.ListWorkersResponse{Workers: page, NextPageToken: next}, nil
}

func (s *fakeScheduler) GetCluster(context.Context, *taskyardpb.GetClusterRequest) (*taskyardpb.Cluster, error) {
	return &taskyardpb.Cluster{
		Version: "1.2", Leader: &taskyardpb.Leader{Id: "d1", Term: 9},
		Dispatchers: []*taskyardpb.Dispatcher{{Id: "d1", Leader: true}, {Id: "d2"}},
	}, nil
}

func badIDs(fields ...string) *errdetails.BadRequest {
	bad := &errdetails.BadRequest{}
	for _, field := range fields {
		bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: field, Description: "is not a UUID"})
	}
	return bad
}
