package taskyardtest

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	taskyard "github.com/taskyard/taskyard/sdk/go"
	pb "github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

// taskService is the scheduler's API on the cluster in memory. What the client does not call is UNIMPLEMENTED.
type taskService struct {
	pb.UnimplementedTaskServiceServer
	cluster *Cluster
}

func (s *taskService) SubmitTasks(_ context.Context, request *pb.SubmitTasksRequest) (*pb.SubmitTasksResponse, error) {
	c := s.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	answer := &pb.SubmitTasksResponse{}
	for _, spec := range request.Tasks {
		answer.Results = append(answer.Results, c.submit(spec))
	}
	c.step()
	return answer, nil
}

func (c *Cluster) submit(spec *pb.TaskSpec) *pb.SubmitResult {
	known := c.byKey[spec.IdempotencyKey]
	if known != nil && !same(known.spec, spec) {
		return &pb.SubmitResult{Outcome: &pb.SubmitResult_Error{Error: &pb.SubmitError{
			Reason: "IDEMPOTENCY_CONFLICT", Message: "the idempotency key belongs to another task", TaskId: known.told.Id,
		}}}
	}
	added := known
	if added == nil {
		added = c.add(spec)
	}
	outcome := &pb.SubmitResult_Task{Task: &pb.Task{Id: added.told.Id, State: added.told.State}}
	return &pb.SubmitResult{Outcome: outcome, Deduplicated: known != nil}
}

// same tells whether two requests with one idempotency key ask for the same.
func same(one, two *pb.TaskSpec) bool {
	one, two = proto.CloneOf(one), proto.CloneOf(two)
	equal := reflect.DeepEqual(value(one.Payload), value(two.Payload))
	for _, spec := range []*pb.TaskSpec{one, two} {
		spec.Payload, spec.RunAt, spec.ExpiresAt, spec.Traceparent = nil, nil, nil, ""
	}
	return equal && proto.Equal(one, two)
}

func value(document []byte) (read any) {
	decoder := json.NewDecoder(strings.NewReader(or(string(document), "null")))
	decoder.UseNumber()
	if err := decoder.Decode(&read); err != nil {
		return err.Error()
	}
	return read
}

func (s *taskService) GetTask(_ context.Context, request *pb.GetTaskRequest) (*pb.Task, error) {
	return s.cluster.change(request.Id, func(*task) error { return nil })
}

// change does something to a task and answers with what it is then.
func (c *Cluster) change(id string, do func(*task) error) (*pb.Task, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := c.byID[id]
	if found == nil {
		return nil, refusal(codes.NotFound, "NOT_FOUND", "no task "+id)
	}
	if err := do(found); err != nil {
		return nil, err
	}
	c.step()
	return shown(found), nil
}

func refusal(code codes.Code, reason, message string) error {
	told, err := status.New(code, message).WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: "taskyard"})
	if err != nil {
		return err
	}
	return told.Err()
}

func (s *taskService) WatchTasks(
	request *pb.WatchTasksRequest, stream grpc.ServerStreamingServer[pb.WatchTasksResponse],
) error {
	c, left := s.cluster, request.Ids
	for len(left) > 0 {
		answer := &pb.WatchTasksResponse{}
		err := c.await(stream.Context(), func() bool {
			left = slices.DeleteFunc(left, func(id string) bool { return c.see(id, answer) })
			return len(left) == 0 || len(answer.Tasks)+len(answer.UnknownIds) > 0
		})
		if err != nil {
			return err
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
	return nil
}

// see adds a task that is over, or that is not there, to an answer. Under the lock.
func (c *Cluster) see(id string, answer *pb.WatchTasksResponse) bool {
	switch found := c.byID[id]; {
	case found == nil:
		answer.UnknownIds = append(answer.UnknownIds, id)
	case found.over():
		answer.Tasks = append(answer.Tasks, shown(found))
	default:
		return false
	}
	return true
}

func (s *taskService) ListTasks(_ context.Context, request *pb.ListTasksRequest) (*pb.ListTasksResponse, error) {
	c := s.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	answer := &pb.ListTasksResponse{}
	for _, found := range c.fitting(request.Filter) {
		answer.Tasks = append(answer.Tasks, shown(found))
	}
	slices.Reverse(answer.Tasks)
	return answer, nil
}

// fitting are the tasks that a filter means, oldest first. Under the lock.
func (c *Cluster) fitting(filter *pb.TaskFilter) (found []*task) {
	for _, each := range c.tasks {
		told := each.told
		if (filter.GetQueue() == "" || filter.Queue == told.Queue) &&
			(filter.GetType() == "" || filter.Type == told.Type) &&
			(filter.GetState() == 0 || filter.State == told.State) &&
			(filter.GetErrorType() == "" || filter.ErrorType == told.Error.GetType()) {
			found = append(found, each)
		}
	}
	return found
}

func (s *taskService) CancelTask(_ context.Context, request *pb.CancelTaskRequest) (*pb.Task, error) {
	return s.cluster.change(request.Id, func(found *task) error {
		switch {
		case found.told.State == pb.TaskState_TASK_STATE_CANCELLED:
		case found.over():
			return refusal(codes.FailedPrecondition, "FAILED_PRECONDITION", "the task is over")
		case found.told.State == pb.TaskState_TASK_STATE_RUNNING:
			found.told.CancelRequested = true
			found.end(taskyard.ErrCancelled)
		default:
			s.cluster.finish(found, pb.TaskState_TASK_STATE_CANCELLED)
		}
		return nil
	})
}

func (s *taskService) RedriveTask(_ context.Context, request *pb.RedriveTaskRequest) (*pb.Task, error) {
	return s.cluster.change(request.Id, func(found *task) error {
		if found.told.State != pb.TaskState_TASK_STATE_FAILED {
			return refusal(codes.FailedPrecondition, "FAILED_PRECONDITION", "the task has not failed")
		}
		s.cluster.redrive(found)
		return nil
	})
}

// redrive queues a task with fresh budgets. Under the lock.
func (c *Cluster) redrive(failed *task) {
	told := failed.told
	told.State, failed.due = pb.TaskState_TASK_STATE_QUEUED, c.now
	told.Failures, told.Crashes, told.Error, told.FinishedAt, told.ExpiresAt = 0, 0, nil, nil, nil
}

func (s *taskService) RedriveTasks(_ context.Context, request *pb.RedriveTasksRequest) (*pb.RedriveTasksResponse, error) {
	ids := s.cluster.bulk(request.Filter, request.Limit, request.DryRun, s.cluster.redrive)
	return &pb.RedriveTasksResponse{Count: int32(len(ids)), Ids: ids[:min(len(ids), 100)]}, nil
}

func (s *taskService) PurgeTasks(_ context.Context, request *pb.PurgeTasksRequest) (*pb.PurgeTasksResponse, error) {
	ids := s.cluster.bulk(request.Filter, request.Limit, request.DryRun, s.cluster.purge)
	return &pb.PurgeTasksResponse{Count: int32(len(ids)), Ids: ids[:min(len(ids), 100)]}, nil
}

// purge deletes a task. Under the lock.
func (c *Cluster) purge(failed *task) {
	c.tasks = slices.DeleteFunc(c.tasks, func(each *task) bool { return each == failed })
	delete(c.byID, failed.told.Id)
	if c.byKey[failed.told.IdempotencyKey] == failed {
		delete(c.byKey, failed.told.IdempotencyKey)
	}
}

// bulk does something to the FAILED tasks that fit, unless it only counts them.
func (c *Cluster) bulk(filter *pb.TaskFilter, limit int32, dryRun bool, do func(*task)) (ids []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if limit <= 0 {
		limit = 1000
	}
	for _, found := range c.fitting(filter) {
		if found.told.State != pb.TaskState_TASK_STATE_FAILED || len(ids) == int(limit) {
			continue
		}
		ids = append(ids, found.told.Id)
		if !dryRun {
			do(found)
		}
	}
	c.step()
	return ids
}

func (s *taskService) ListAttempts(_ context.Context, request *pb.ListAttemptsRequest) (*pb.ListAttemptsResponse, error) {
	answer := &pb.ListAttemptsResponse{}
	_, err := s.cluster.change(request.TaskId, func(found *task) error {
		for _, run := range found.runs {
			answer.Attempts = append(answer.Attempts, proto.CloneOf(run))
		}
		return nil
	})
	return answer, err
}

type queueService struct {
	pb.UnimplementedQueueServiceServer
	cluster *Cluster
}

func (s *queueService) ListQueues(context.Context, *pb.ListQueuesRequest) (*pb.ListQueuesResponse, error) {
	c := s.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	answer := &pb.ListQueuesResponse{}
	byName := map[string]*pb.Queue{}
	for _, each := range c.tasks {
		queue := byName[each.told.Queue]
		if queue == nil {
			queue = &pb.Queue{Namespace: "default", Name: each.told.Queue}
			byName[queue.Name] = queue
			answer.Queues = append(answer.Queues, queue)
		}
		switch each.told.State {
		case pb.TaskState_TASK_STATE_SCHEDULED:
			queue.Scheduled++
		case pb.TaskState_TASK_STATE_QUEUED:
			queue.Queued++
		case pb.TaskState_TASK_STATE_RUNNING:
			queue.Running++
		case pb.TaskState_TASK_STATE_FAILED:
			queue.Failed++
		}
	}
	slices.SortFunc(answer.Queues, func(a, b *pb.Queue) int { return strings.Compare(a.Name, b.Name) })
	return answer, nil
}

// clusterService has nobody to tell of: the workers are the test's own.
type clusterService struct {
	pb.UnimplementedClusterServiceServer
	cluster *Cluster
}

func (s *clusterService) GetCluster(context.Context, *pb.GetClusterRequest) (*pb.Cluster, error) {
	return &pb.Cluster{Version: taskyard.Version}, nil
}

func (s *clusterService) ListWorkers(context.Context, *pb.ListWorkersRequest) (*pb.ListWorkersResponse, error) {
	return &pb.ListWorkersResponse{}, nil
}
