package taskyard

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"

	"github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

func TestSubmitSendsWhatItIsTold(t *testing.T) {
	fake, client := started(t, ClientOptions{Namespace: "shop"})
	at := time.Date(2026, 11, 29, 12, 0, 0, 7, time.UTC)
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: [16]byte{1}, SpanID: [8]byte{2}, TraceFlags: 1})
	_, err := greetTown.Submit(trace.ContextWithSpanContext(t.Context(), span), client, town{"<Köln>"},
		Queue("mail"), Priority(0), Selector("io=ssd"), IdempotencyKey("k"), Delay(time.Second), RunAt(at), ExpiresAt(at),
		Timeout(time.Minute), DependsOn("a", "b"), Retry(RetryPolicy{MaxAttempts: 4, Jitter: NoJitter, MaxBackoff: NoBackoff}))
	if err != nil {
		t.Fatal(err)
	}
	spec := fake.received()[0].Tasks[0]
	if got := string(spec.Payload); got != `{"town":"<Köln>"}` {
		t.Errorf("payload %s", got)
	}
	if spec.Namespace != "shop" || spec.Queue != "mail" || spec.Priority == nil || *spec.Priority != 0 ||
		spec.Selector != "io=ssd" || spec.IdempotencyKey != "k" || spec.Delay.AsDuration() != time.Second ||
		!spec.RunAt.AsTime().Equal(at) || !spec.ExpiresAt.AsTime().Equal(at) ||
		spec.Timeout.AsDuration() != time.Minute || !slices.Equal(spec.DependsOn, []string{"a", "b"}) {
		t.Errorf("spec %v", spec)
	}
	if retry := spec.Retry; retry.GetMaxAttempts() != 4 || retry.Jitter == nil || *retry.Jitter != 0 ||
		retry.InitialBackoff != nil || retry.MaxBackoff.AsDuration() != 0 || retry.MaxBackoff == nil || retry.Multiplier != nil {
		t.Errorf("retry %v", retry)
	}
	if want := "00-01000000000000000000000000000000-0200000000000000-01"; spec.Traceparent != want {
		t.Errorf("traceparent %s", spec.Traceparent)
	}
}

func TestSubmitRefusesWhatCannotBeSent(t *testing.T) {
	fake, client := started(t, ClientOptions{})
	_, err := Define[float64, any]("x").Submit(t.Context(), client, math.NaN())
	if failure := failureOf(t, err); failure.Kind != ErrInvalidArgument || failure.Violations[0].Field != "payload" {
		t.Error(err)
	}
	_, err = greetTown.Submit(t.Context(), client, town{}, IdempotencyKey(""))
	if failure := failureOf(t, err); !errors.Is(err, ErrInvalidArgument) || failure.Violations[0].Field != "idempotency_key" {
		t.Error(err)
	}
	_, err = greetTown.Submit(t.Context(), client, town{strings.Repeat("x", 5<<20)})
	if !errors.Is(err, ErrInvalidArgument) {
		t.Error(err)
	}
	if len(fake.received()) != 0 {
		t.Error("something was sent")
	}
}

func TestResultIsTyped(t *testing.T) {
	fake, client := started(t, ClientOptions{})
	handle := submit(t, client)
	fake.end(handle.ID, taskyardpb.TaskState_TASK_STATE_SUCCEEDED, `"Hello"`, nil)
	if result, err := handle.Result(t.Context()); result != "Hello" || err != nil {
		t.Error(result, err)
	}
	if state, err := handle.State(t.Context()); state != StateSucceeded || err != nil {
		t.Error(state, err)
	}
	if _, err := Define[town, int]("town.greet").Task(client, handle.ID).Result(t.Context()); !errors.Is(err, ErrMismatch) {
		t.Error(err)
	}
	if raw, err := Any("town.greet").Task(client, handle.ID).Result(t.Context()); string(raw) != `"Hello"` || err != nil {
		t.Error(string(raw), err)
	}
}

func TestTasksWithoutResult(t *testing.T) {
	fake, client := started(t, ClientOptions{})
	failed, cancelled, expired := submit(t, client), submit(t, client), submit(t, client)
	fake.end(failed.ID, taskyardpb.TaskState_TASK_STATE_FAILED, "", &taskyardpb.TaskError{
		Type: "CardDeclined", Message: "no funds", Stack: "at shop.go:7",
	})
	fake.end(expired.ID, taskyardpb.TaskState_TASK_STATE_EXPIRED, "", nil)
	if task, err := cancelled.Cancel(t.Context()); err != nil || task.State != StateCancelled {
		t.Error(task, err)
	}
	var why *TaskFailedError
	_, err := failed.Result(t.Context())
	if !errors.As(err, &why) || why.Type != "CardDeclined" || why.Message != "no funds" || why.Stack != "at shop.go:7" ||
		why.Task.ID != failed.ID || !errors.Is(err, ErrUnsuccessful) {
		t.Error(err)
	}
	var ofCancel *TaskCancelledError
	if _, err := cancelled.Result(t.Context()); !errors.As(err, &ofCancel) || !errors.Is(err, ErrUnsuccessful) {
		t.Error(err)
	}
	var ofExpiry *TaskExpiredError
	if _, err := expired.Result(t.Context()); !errors.As(err, &ofExpiry) || !errors.Is(err, ErrUnsuccessful) {
		t.Error(err)
	}
	if _, err := greetTown.Task(client, "0193a1b2-ffff-7000-8000-000000000000").Result(t.Context()); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

func TestAKeyIsAnsweredWithTheFirstTask(t *testing.T) {
	fake, client := started(t, ClientOptions{})
	one, two := submit(t, client, IdempotencyKey("k")), submit(t, client, IdempotencyKey("k"))
	if one.ID != two.ID || one.Deduplicated || !two.Deduplicated || fake.stored() != 1 {
		t.Error(one, two, fake.stored())
	}
}

func TestWithoutKeyALostAnswerIsNotSentAgain(t *testing.T) {
	fake, client := started(t, ClientOptions{})
	fake.afterSubmit = func() error { return lost(codes.Unavailable) }
	_, err := greetTown.Submit(t.Context(), client, town{"Lyon"})
	if failure := failureOf(t, err); failure.Kind != ErrUnavailable || !failure.OutcomeUnknown {
		t.Error(err)
	}
	if fake.stored() != 1 {
		t.Errorf("%d tasks", fake.stored())
	}
}

func TestWithKeyALostAnswerIsAskedForAgain(t *testing.T) {
	for name, options := range map[string]ClientOptions{"given": {}, "generated": {GenerateKeys: true}} {
		t.Run(name, func(t *testing.T) {
			fake, client := started(t, options)
			var once sync.Once
			fake.afterSubmit = func() (err error) {
				once.Do(func() { err = lost(codes.Canceled) })
				return err
			}
			var keys []SubmitOption
			if !options.GenerateKeys {
				keys = append(keys, IdempotencyKey("k"))
			}
			if handle := submit(t, client, keys...); !handle.Deduplicated || fake.stored() != 1 {
				t.Error(handle, fake.stored())
			}
		})
	}
}

func TestOfAMixedBatchOnlyTasksWithKeysAreSentAgain(t *testing.T) {
	fake, client := started(t, ClientOptions{})
	var once sync.Once
	fake.afterSubmit = func() (err error) {
		once.Do(func() { err = lost(codes.Unavailable) })
		return err
	}
	outcomes := client.SubmitMany(t.Context(), []Request{
		greetTown.Request(town{"a"}), greetTown.Request(town{"b"}, IdempotencyKey("b")), greetTown.Request(town{"c"}),
	})
	if !failureOf(t, outcomes[0].Err).OutcomeUnknown || !failureOf(t, outcomes[2].Err).OutcomeUnknown {
		t.Error(outcomes)
	}
	if outcomes[1].Err != nil || !outcomes[1].Deduplicated || fake.stored() != 3 {
		t.Error(outcomes[1], fake.stored())
	}
}

func TestSubmitManyTellsOfEachTask(t *testing.T) {
	fake, client := started(t, ClientOptions{})
	fake.onSubmit = func(_ context.Context, request *taskyardpb.SubmitTasksRequest) (*taskyardpb.SubmitTasksResponse, error) {
		answer := &taskyardpb.SubmitTasksResponse{}
		for i, spec := range request.Tasks {
			if spec.GetPriority() == 11 {
				field := fmt.Sprintf("tasks[%d].priority", i)
				refused := &taskyardpb.SubmitError{Reason: "INVALID_ARGUMENT", Field: field, Message: field + ": must be 0 to 10"}
				answer.Results = append(answer.Results, &taskyardpb.SubmitResult{Outcome: &taskyardpb.SubmitResult_Error{Error: refused}})
				continue
			}
			answer.Results = append(answer.Results, fake.store(spec))
		}
		return answer, nil
	}
	requests := make([]Request, 2500)
	for i := range requests {
		requests[i] = greetTown.Request(town{fmt.Sprint(i)})
	}
	requests[7] = greetTown.Request(town{"7"}, Priority(11))
	requests[8] = greetTown.Request(town{strings.Repeat("x", 5<<20)})
	requests[9] = Request{}
	requests[10] = Define[any, any]("x").Request(make(chan int))
	outcomes := client.SubmitMany(t.Context(), requests)
	for i, outcome := range outcomes {
		if bad := i >= 7 && i <= 10; bad != (outcome.Err != nil) || bad == (outcome.ID != "") {
			t.Errorf("%d: %v", i, outcome)
		}
	}
	if failure := failureOf(t, outcomes[7].Err); failure.Message != "priority: must be 0 to 10" ||
		failure.Violations[0] != (FieldViolation{"priority", "must be 0 to 10"}) {
		t.Error(failure.Message, failure.Violations)
	}
	if got := len(fake.received()); got != 3 || fake.stored() != 2496 {
		t.Errorf("%d calls, %d tasks", got, fake.stored())
	}
}

func TestLargeTasksAreSpreadOverCalls(t *testing.T) {
	fake, client := started(t, ClientOptions{})
	requests := make([]Request, 40)
	for i := range requests {
		requests[i] = greetTown.Request(town{strings.Repeat("x", 250<<10)})
	}
	for _, outcome := range client.SubmitMany(t.Context(), requests) {
		if outcome.Err != nil {
			t.Fatal(outcome.Err)
		}
	}
	if fake.stored() != 40 || len(fake.received()) != 3 {
		t.Error(fake.stored(), len(fake.received()))
	}
}

func TestSubmitsMadeAtTheSameTimeTravelTogether(t *testing.T) {
	fake, client := started(t, ClientOptions{})
	gate := make(chan struct{})
	fake.onSubmit = func(ctx context.Context, _ *taskyardpb.SubmitTasksRequest) (*taskyardpb.SubmitTasksResponse, error) {
		<-gate
		return nil, nil
	}
	var all sync.WaitGroup
	ids := make([]string, 1000)
	for i := range ids {
		all.Add(1)
		go func() {
			defer all.Done()
			handle, err := greetTown.Submit(t.Context(), client, town{fmt.Sprint(i)})
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = handle.ID
		}()
	}
	everyoneWaits := func() bool {
		client.gatherer.mu.Lock()
		defer client.gatherer.mu.Unlock()
		boarded := 0
		for flight := range client.gatherer.flights {
			boarded += len(flight.passengers)
		}
		return boarded+len(client.gatherer.waiting) == len(ids)
	}
	eventually(t, "all wait", everyoneWaits)
	close(gate)
	all.Wait()
	for i, id := range ids {
		if task, err := client.Get(t.Context(), id); err != nil || string(task.Payload) != fmt.Sprintf(`{"town":"%d"}`, i) {
			t.Fatalf("%d: %v %v", i, task, err)
		}
	}
	if calls := len(fake.received()); calls > 4 {
		t.Errorf("%d calls", calls)
	}
}
