package taskyard

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

type town struct {
	Town string `json:"town"`
}

var greetTown = Define[town, string]("town.greet")

// started is a client of a fake scheduler; both end with the test.
func started(t *testing.T, options ClientOptions) (*fakeScheduler, *Client) {
	t.Helper()
	fake := newFakeScheduler()
	options.Address, _ = fake.serve(t, "127.0.0.1:0")
	return fake, clientOf(t, options)
}

func clientOf(t *testing.T, options ClientOptions) *Client {
	t.Helper()
	client, err := newClient(options, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func submit(t *testing.T, client *Client, options ...SubmitOption) *Handle[string] {
	t.Helper()
	handle, err := greetTown.Submit(t.Context(), client, town{"Lyon"}, options...)
	if err != nil {
		t.Fatal(err)
	}
	return handle
}

func failureOf(t *testing.T, err error) *Error {
	t.Helper()
	var failure *Error
	if !errors.As(err, &failure) {
		t.Fatalf("want an *Error, got %v", err)
	}
	return failure
}

func lost(code codes.Code) error { return status.Error(code, "the connection broke") }

// eventually waits for what no event tells of.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for limit := time.After(20 * time.Second); !holds(); {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("never: " + what)
		}
	}
}

func TestACallerThatLeavesEndsTheCall(t *testing.T) {
	fake, client := started(t, ClientOptions{})
	arrived, ended := make(chan struct{}), make(chan struct{})
	fake.onSubmit = func(ctx context.Context, _ *taskyardpb.SubmitTasksRequest) (*taskyardpb.SubmitTasksResponse, error) {
		close(arrived)
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("the user left")
	go func() {
		<-arrived
		cancel(cause)
	}()
	_, err := greetTown.Submit(ctx, client, town{"Lyon"}, IdempotencyKey("k"))
	if !errors.Is(err, context.Canceled) || !errors.Is(err, cause) || !failureOf(t, err).OutcomeUnknown {
		t.Error(err)
	}
	<-ended
	_, err = greetTown.Submit(ctx, client, town{"Lyon"})
	if !errors.Is(err, context.Canceled) || failureOf(t, err).OutcomeUnknown {
		t.Error(err)
	}
}

func TestACallThatIsNotAnsweredEndsInTime(t *testing.T) {
	fake, client := started(t, ClientOptions{TimeLimit: 50 * time.Millisecond})
	fake.onSubmit = func(ctx context.Context, _ *taskyardpb.SubmitTasksRequest) (*taskyardpb.SubmitTasksResponse, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	_, err := greetTown.Submit(t.Context(), client, town{"Lyon"}, IdempotencyKey("k"))
	if !errors.Is(err, ErrDeadlineExceeded) || !errors.Is(err, context.DeadlineExceeded) || !failureOf(t, err).OutcomeUnknown {
		t.Error(err)
	}
}

func TestTheNextSchedulerIsAskedWhenOneIsAway(t *testing.T) {
	fake := newFakeScheduler()
	live, _ := fake.serve(t, "127.0.0.1:0")
	dead, stop := newFakeScheduler().serve(t, "127.0.0.1:0")
	stop()
	for range 4 { // clients begin at different places
		client := clientOf(t, ClientOptions{Address: dead + "," + live})
		submit(t, client)
		if scheduler, err := client.calls.schedulers.current(); err != nil || scheduler.address != live {
			t.Error(scheduler.address, err)
		}
	}
}

func TestASchedulerThatIsAwayWasNotReached(t *testing.T) {
	address, stop := newFakeScheduler().serve(t, "127.0.0.1:0")
	stop()
	client := clientOf(t, ClientOptions{Address: address, TimeLimit: 300 * time.Millisecond})
	_, err := greetTown.Submit(t.Context(), client, town{"Lyon"})
	if failure := failureOf(t, err); failure.Kind != ErrUnavailable || failure.OutcomeUnknown ||
		!strings.HasPrefix(failure.Message, "can't reach "+address) {
		t.Error(err)
	}
}

func refused(code codes.Code, reason string, details ...protoadapt.MessageV1) error {
	told := status.New(code, "told")
	info := &errdetails.ErrorInfo{Reason: reason, Domain: "taskyard", Metadata: map[string]string{"task_id": "t-1"}}
	told, err := told.WithDetails(append(details, info)...)
	if err != nil {
		panic(err)
	}
	return told.Err()
}

func TestEachReasonIsAnErrorOfItsKind(t *testing.T) {
	later := &errdetails.RetryInfo{RetryDelay: durationpb.New(3 * time.Second)}
	field := &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
		{Field: "task.priority", Description: "must be 0 to 10"},
	}}
	for _, each := range []struct {
		told error
		kind error
	}{
		{refused(codes.InvalidArgument, "INVALID_ARGUMENT", field), ErrInvalidArgument},
		{refused(codes.InvalidArgument, "PAYLOAD_TOO_LARGE"), ErrInvalidArgument},
		{refused(codes.NotFound, "NOT_FOUND"), ErrNotFound},
		{refused(codes.AlreadyExists, "IDEMPOTENCY_CONFLICT"), ErrIdempotencyConflict},
		{refused(codes.FailedPrecondition, "FAILED_PRECONDITION"), ErrFailedPrecondition},
		{refused(codes.ResourceExhausted, "BACKLOG_FULL", later), ErrBacklogFull},
		{refused(codes.ResourceExhausted, "TOO_MANY_LANES", later), ErrBacklogFull},
		{refused(codes.Internal, "INTERNAL"), ErrServer},
		{status.Error(codes.PermissionDenied, "no"), ErrAccessDenied},
		{status.Error(codes.Unauthenticated, "no"), ErrAccessDenied},
		{status.Error(codes.Unimplemented, "unknown"), ErrServer},
		{status.Error(codes.ResourceExhausted, "grpc: received message larger than max (1 vs. 2)"), ErrServer},
	} {
		fake, client := started(t, ClientOptions{})
		fake.onGet = func(*taskyardpb.GetTaskRequest) (*taskyardpb.Task, error) { return nil, each.told }
		_, err := client.Get(t.Context(), "0193a1b2-0000-7000-8000-000000000000")
		failure := failureOf(t, err)
		if failure.Kind != each.kind || !errors.Is(err, each.kind) || failure.OutcomeUnknown {
			t.Errorf("%v became %v", each.told, err)
		}
		switch failure.Reason {
		case "INVALID_ARGUMENT":
			if failure.Message != "priority: must be 0 to 10" {
				t.Error(failure.Message)
			}
		case "IDEMPOTENCY_CONFLICT":
			if failure.TaskID != "t-1" {
				t.Error(failure.TaskID)
			}
		case "BACKLOG_FULL", "TOO_MANY_LANES":
			if failure.RetryAfter != 3*time.Second {
				t.Error(failure.RetryAfter)
			}
		}
	}
}

func TestTooManyRequestsIsTriedAgain(t *testing.T) {
	fake, client := started(t, ClientOptions{})
	refusals := 2
	fake.onSubmit = func(context.Context, *taskyardpb.SubmitTasksRequest) (*taskyardpb.SubmitTasksResponse, error) {
		if refusals--; refusals >= 0 {
			return nil, refused(codes.ResourceExhausted, "TOO_MANY_REQUESTS")
		}
		return nil, nil
	}
	submit(t, client)
	if got := len(fake.received()); got != 3 {
		t.Error(got)
	}
}

func TestARedriveIsNotRepeatedWhenItsAnswerIsLost(t *testing.T) {
	fake, client := started(t, ClientOptions{})
	asked := 0
	fake.onRedrive = func() error { asked++; return lost(codes.Unavailable) }
	_, err := client.Redrive(t.Context(), "0193a1b2-0000-7000-8000-000000000000")
	if !errors.Is(err, ErrUnavailable) || !failureOf(t, err).OutcomeUnknown || asked != 1 {
		t.Error(err, asked)
	}
	fake.onRedrive = func() error { return nil }
	if task, err := client.Redrive(t.Context(), "0193a1b2-0000-7000-8000-000000000000"); err != nil || task.State != StateQueued {
		t.Error(task, err)
	}
}

func TestDeadLettersInBulk(t *testing.T) {
	fake, client := started(t, ClientOptions{Namespace: "shop"})
	fake.onBulk = func(filter *taskyardpb.TaskFilter, limit int32, dryRun bool) (int32, []string, error) {
		if filter.Namespace != "shop" || filter.ErrorType != "E" || filter.State != taskyardpb.TaskState_TASK_STATE_FAILED {
			t.Error(filter)
		}
		if dryRun {
			return limit, nil, nil
		}
		return 1, []string{"a"}, nil
	}
	filter := TaskFilter{ErrorType: "E", State: StateFailed}
	if affected, err := client.RedriveMany(t.Context(), filter, Bulk{Limit: 5, DryRun: true}); affected.Count != 5 || err != nil {
		t.Error(affected, err)
	}
	if affected, err := client.PurgeMany(t.Context(), filter, Bulk{}); affected.Count != 1 || affected.IDs[0] != "a" || err != nil {
		t.Error(affected, err)
	}
	if _, err := client.PurgeMany(t.Context(), TaskFilter{State: "ODD"}, Bulk{}); !errors.Is(err, ErrInvalidArgument) {
		t.Error(err)
	}
}

func TestListGoesThroughAllPages(t *testing.T) {
	fake, client := started(t, ClientOptions{})
	var sizes []int32
	fake.onList = func(request *taskyardpb.ListTasksRequest) (*taskyardpb.ListTasksResponse, error) {
		sizes = append(sizes, request.PageSize)
		switch request.PageToken {
		case "":
			if request.PageSize > 60 {
				return nil, status.Error(codes.ResourceExhausted, "grpc: received message larger than max (9 vs. 8)")
			}
			return &taskyardpb.ListTasksResponse{Tasks: []*taskyardpb.Task{{Id: "1"}, {Id: "2"}}, NextPageToken: "empty"}, nil
		case "empty":
			return &taskyardpb.ListTasksResponse{NextPageToken: "last"}, nil
		}
		return &taskyardpb.ListTasksResponse{Tasks: []*taskyardpb.Task{{Id: "3"}}}, nil
	}
	var ids []string
	for task, err := range client.List(t.Context(), TaskFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, task.ID)
	}
	if !slices.Equal(ids, []string{"1", "2", "3"}) || !slices.Equal(sizes, []int32{100, 50, 50, 50}) {
		t.Error(ids, sizes)
	}
	for _, err := range client.Pages(t.Context(), TaskFilter{}, 0) {
		if !errors.Is(err, ErrInvalidArgument) {
			t.Error(err)
		}
	}
	fake.onList = func(*taskyardpb.ListTasksRequest) (*taskyardpb.ListTasksResponse, error) {
		return nil, status.Error(codes.PermissionDenied, "no")
	}
	seen := 0
	for _, err := range client.List(t.Context(), TaskFilter{}) {
		if seen++; !errors.Is(err, ErrAccessDenied) {
			t.Error(err)
		}
	}
	if seen != 1 {
		t.Error(seen)
	}
}

func TestPagesOfTheRest(t *testing.T) {
	_, client := started(t, ClientOptions{Namespace: "shop"})
	runs, err := client.Attempts(t.Context(), "0193A1B2-0000-7000-8000-000000000000")
	if err != nil || len(runs) != 2 || runs[0].Outcome != "TIMED_OUT" || runs[0].Error.Type != "TIMEOUT" || runs[1].Outcome != "" ||
		runs[0].TaskID != "0193a1b2-0000-7000-8000-000000000000" {
		t.Error(runs, err)
	}
	queues, err := client.Queues(t.Context())
	if err != nil || len(queues) != 2 || queues[0].Queued != 3 || queues[1].Namespace != "shop" {
		t.Error(queues, err)
	}
	workers, err := client.Workers(t.Context())
	if err != nil || len(workers) != 2 || workers[0].Labels["io"] != "ssd" || workers[1].Slots != 7 {
		t.Error(workers, err)
	}
	cluster, err := client.Cluster(t.Context())
	if err != nil || cluster.Leader.Term != 9 || !cluster.Dispatchers[0].Leader || len(cluster.Dispatchers) != 2 {
		t.Error(cluster, err)
	}
}

func TestIDsAreWrittenInOneWay(t *testing.T) {
	const id = "0193a1b2-0000-7000-8000-00000000000a"
	for _, written := range []string{id, strings.ToUpper(id), "{" + id + "}", "urn:uuid:" + id, strings.ReplaceAll(id, "-", "")} {
		if got, err := taskID(written); got != id || err != nil {
			t.Error(written, got, err)
		}
	}
	for _, bad := range []string{strings.Repeat("x", 65), "é"} {
		if _, err := taskID(bad); !errors.Is(err, ErrInvalidArgument) {
			t.Error(bad, err)
		}
	}
}

func TestClosedClients(t *testing.T) {
	fake, client := started(t, ClientOptions{})
	handle := submit(t, client)
	arrived := make(chan struct{})
	fake.mu.Lock()
	fake.onSubmit = func(ctx context.Context, _ *taskyardpb.SubmitTasksRequest) (*taskyardpb.SubmitTasksResponse, error) {
		close(arrived)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	fake.mu.Unlock()
	ended := make(chan error, 2)
	go func() { _, err := handle.Result(context.Background()); ended <- err }()
	go func() {
		_, err := greetTown.Submit(context.Background(), client, town{"Lyon"}, IdempotencyKey("k"))
		ended <- err
	}()
	<-arrived
	fake.until(t, "a watch", func() bool { return fake.streams == 1 })
	client.Close()
	for range 2 {
		if err := <-ended; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
	client.Close()
	if _, err := client.Get(t.Context(), handle.ID); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if _, err := client.Wait(t.Context(), handle.ID); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if _, err := greetTown.Submit(t.Context(), client, town{}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestClientOptionsComeBeforeTheEnvironment(t *testing.T) {
	variables := map[string]string{"TASKYARD_ADDRESS": "a, b:9", "TASKYARD_NAMESPACE": "n"}
	env := func(name string) string { return variables[name] }
	client, err := newClient(ClientOptions{}, env)
	if err != nil || client.namespace != "n" || !slices.Equal(client.calls.schedulers.addresses, []string{"a:7070", "b:9"}) {
		t.Error(client, err)
	}
	client, err = newClient(ClientOptions{Address: "c:1", Namespace: "m", TimeLimit: time.Second}, env)
	if err != nil || client.namespace != "m" || !slices.Equal(client.calls.schedulers.addresses, []string{"c:1"}) {
		t.Error(client, err)
	}
	if _, err := newClient(ClientOptions{Address: "c:d"}, env); !errors.Is(err, ErrInvalidArgument) {
		t.Error(err)
	}
	variables["TASKYARD_TLS_CA"] = "/nowhere"
	if _, err := newClient(ClientOptions{}, env); !errors.Is(err, ErrInvalidArgument) {
		t.Error(err)
	}
}

func TestDialOptionsAreAdded(t *testing.T) {
	seen := ""
	intercept := func(
		ctx context.Context, method string, request, answer any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
	) error {
		seen = method
		return invoke(ctx, method, request, answer, conn, options...)
	}
	_, client := started(t, ClientOptions{DialOptions: []grpc.DialOption{grpc.WithChainUnaryInterceptor(intercept)}})
	if _, err := client.Cluster(t.Context()); err != nil || seen != taskyardpb.ClusterService_GetCluster_FullMethodName {
		t.Error(seen, err)
	}
}

func TestDelaysGrowToTheirBound(t *testing.T) {
	all := delays{base: time.Second, max: 5 * time.Second, random: func() float64 { return 0.5 }}
	want := []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 2500 * time.Millisecond}
	for failures, length := range want {
		if got := all.wait(failures); got != length {
			t.Errorf("after %d: %s", failures, got)
		}
	}
	if got := all.wait(1000); got != 2500*time.Millisecond {
		t.Error(got)
	}
}

func TestPoliciesComeBackAsTheyWereSent(t *testing.T) {
	for _, policy := range []RetryPolicy{
		{}, {MaxAttempts: 3, InitialBackoff: time.Second, Multiplier: 2, MaxBackoff: time.Hour, Jitter: 0.5},
		{Jitter: NoJitter, InitialBackoff: NoBackoff, MaxBackoff: NoBackoff},
	} {
		if got := policyOf(policy.message()); *got != policy {
			t.Errorf("%v became %v", policy, *got)
		}
	}
}

func TestUnknownStatesAreKept(t *testing.T) {
	task := taskOf(&taskyardpb.Task{State: 99, Result: json.RawMessage("1")})
	if task.State != "99" || task.State.Terminal() || task.Result != nil || !task.CreatedAt.IsZero() {
		t.Error(task)
	}
}
