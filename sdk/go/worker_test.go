package taskyard_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	taskyard "github.com/taskyard/taskyard/sdk/go"
	pb "github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

type place struct {
	Town string `json:"town"`
	Seen *int   `json:"seen,omitempty"`
}

var (
	greeting = taskyard.Define[place, string]("town.greet")
	anything = taskyard.Define[string, any]("anything")
	waiting  = taskyard.Define[string, string]("waiting")
)

// waiter has a handler that tells its context and waits for its end, or for what it shall return.
type waiter struct {
	contexts chan taskyard.Context
	returns  chan error
	deaf     bool
}

func newWaiter(worker *taskyard.Worker) *waiter {
	w := &waiter{contexts: make(chan taskyard.Context, 100), returns: make(chan error, 100)}
	waiting.Handle(worker, func(ctx taskyard.Context, _ string) (string, error) {
		w.contexts <- ctx
		ended := ctx.Done()
		if w.deaf {
			ended = nil
		}
		select {
		case err := <-w.returns:
			return "done", err
		case <-ended:
			return "", fmt.Errorf("interrupted: %w", ctx.Err())
		}
	})
	return w
}

func TestATaskIsRun(t *testing.T) {
	d := newDispatcher(t)
	worker := taskyard.NewWorker(options(d))
	greeting.Handle(worker, func(ctx taskyard.Context, p place) (string, error) {
		return fmt.Sprintf("Hello %s & %s, queue %s", p.Town, ctx.Token(), ctx.Queue()), nil
	})
	stop := serve(t, worker)
	s, hello := d.welcomed()
	if !slices.Equal(hello.Types, []string{"town.greet"}) || hello.Slots != 100 || len(hello.Secret) < 16 {
		t.Errorf("the hello is %v", hello)
	}
	s.assign(task("a", "town.greet", `{"town": "Lyon"}`))
	if got := described(s.finished()); got != `"Hello Lyon & a/1, queue default"` {
		t.Errorf("the result is %s", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

type wornError struct{ part string }

func (e *wornError) Error() string { return e.part + " is worn" }

type namedError struct{}

func (namedError) Error() string     { return "it has a name" }
func (namedError) ErrorType() string { return "NAMED" }

type brokenError struct{}

func (brokenError) Error() string { panic("no words") }

func TestWhatHandlersEndWith(t *testing.T) {
	returned := map[string]func() (any, error){
		"nothing": func() (any, error) { return nil, nil },
		"big":     func() (any, error) { return json.Number("18446744073709551617"), nil },
		"error":   func() (any, error) { return nil, errors.New("no") },
		"own":     func() (any, error) { return nil, fmt.Errorf("engine: %w", &wornError{"a belt"}) },
		"joined": func() (any, error) {
			return nil, errors.Join(errors.New("x"), &fs.PathError{Op: "open", Path: "p", Err: fs.ErrNotExist})
		},
		"named":       func() (any, error) { return nil, fmt.Errorf("see: %w", namedError{}) },
		"final":       func() (any, error) { return nil, fmt.Errorf("so: %w", taskyard.NonRetryable(&wornError{"a bolt"})) },
		"speechless":  func() (any, error) { return nil, brokenError{} },
		"panic":       func() (any, error) { panic("boom") },
		"goexit":      func() (any, error) { runtime.Goexit(); return nil, nil },
		"nan":         func() (any, error) { return math.NaN(), nil },
		"not text":    func() (any, error) { return map[string]string{"a": "\xff"}, nil },
		"half a pair": func() (any, error) { return json.RawMessage(`"\ud800"`), nil },
		"a channel":   func() (any, error) { return make(chan int), nil },
		"stopped":     func() (any, error) { return nil, context.Canceled },
	}
	want := map[string]string{
		"nothing":     `null`,
		"big":         `18446744073709551617`,
		"error":       `Error: no (retryable: true)`,
		"own":         `wornError: engine: a belt is worn (retryable: true)`,
		"joined":      "PathError: x\nopen p: file does not exist (retryable: true)",
		"named":       `NAMED: see: it has a name (retryable: true)`,
		"final":       `wornError: so: a bolt is worn (retryable: false)`,
		"speechless":  `brokenError: <panic: no words> (retryable: true)`,
		"panic":       `PANIC: boom (retryable: true)`,
		"goexit":      `PANIC: runtime.Goexit was called (retryable: true)`,
		"nan":         `RESULT_NOT_JSON: the result can't be written as JSON: json: unsupported value: NaN (retryable: false)`,
		"not text":    `RESULT_NOT_JSON: the result can't be written as JSON: it has text that is not UTF-8 (retryable: false)`,
		"half a pair": `RESULT_NOT_JSON: the result can't be written as JSON: it has half of a surrogate pair in a text (retryable: false)`,
		"a channel":   `RESULT_NOT_JSON: the result can't be written as JSON: json: unsupported type: chan int (retryable: false)`,
		"stopped":     `Error: context canceled (retryable: true)`,
	}
	d := newDispatcher(t)
	worker := taskyard.NewWorker(options(d))
	anything.Handle(worker, func(_ taskyard.Context, what string) (any, error) { return returned[what]() })
	serve(t, worker)
	s, _ := d.welcomed()
	for what := range returned {
		payload, _ := json.Marshal(what)
		s.assign(task(what, "anything", string(payload)))
		result := s.finished()
		if got := described(result); got != want[what] {
			t.Errorf("%s: %s, not %s", what, got, want[what])
		}
		if stack := result.GetError().GetStack(); what == "own" && !strings.HasSuffix(stack, "wornError: a belt is worn\n") {
			t.Errorf("the error's chain is %q", stack)
		}
		if stack := result.GetError().GetStack(); what == "panic" && !strings.Contains(stack, "TestWhatHandlersEndWith") {
			t.Errorf("the panic's stack is %q", stack)
		}
	}
}

func TestResultsHaveLimits(t *testing.T) {
	d := newDispatcher(t)
	worker := taskyard.NewWorker(options(d))
	sized := taskyard.Define[int, string]("sized")
	sized.Handle(worker, func(_ taskyard.Context, size int) (string, error) { return strings.Repeat("x", size), nil })
	deep := taskyard.Define[int, json.RawMessage]("deep")
	deep.Handle(worker, func(_ taskyard.Context, size int) (json.RawMessage, error) {
		return json.RawMessage(strings.Repeat("[", size) + strings.Repeat("]", size)), nil
	})
	serve(t, worker)
	s, _ := d.welcomed()
	for _, one := range []struct{ kind, payload, want string }{
		{"sized", "1048574", ""}, {"sized", "1048575", "RESULT_TOO_LARGE"},
		{"deep", "64", ""}, {"deep", "65", "RESULT_TOO_DEEP"},
	} {
		s.assign(task(one.kind+one.payload, one.kind, one.payload))
		if got := s.finished().GetError().GetType(); got != one.want {
			t.Errorf("%s %s ended with %q", one.kind, one.payload, got)
		}
	}
}

func TestAPayloadThatDoesNotFit(t *testing.T) {
	d := newDispatcher(t)
	worker := taskyard.NewWorker(options(d))
	greeting.Handle(worker, func(_ taskyard.Context, p place) (string, error) { return p.Town, nil })
	taskyard.Any("raw").Handle(worker, func(_ taskyard.Context, in json.RawMessage) (json.RawMessage, error) { return in, nil })
	serve(t, worker)
	s, _ := d.welcomed()
	for payload, want := range map[string]string{
		`{"town": 7}`: "INVALID_PAYLOAD", `{"town"`: "INVALID_PAYLOAD", `{} {}`: "INVALID_PAYLOAD", ``: "", `null`: "", `{"more": 1}`: "",
	} {
		s.assign(task(payload+"-", "town.greet", payload))
		failure := s.finished().GetError()
		if failure.GetType() != want || failure.GetRetryable() {
			t.Errorf("%q ended with %v", payload, failure)
		}
	}
	s.assign(task("raw", "raw", `{"town"`))
	if got := s.finished().GetError().GetType(); got != "INVALID_PAYLOAD" {
		t.Errorf("as bytes it ended with %q", got)
	}
	s.assign(task("b", "elsewhere", "1"))
	if failure := s.finished().GetError(); failure.GetType() != "NO_HANDLER" || !failure.GetRetryable() {
		t.Errorf("a type without a handler ended with %v", failure)
	}
}

func TestNumbersKeepTheirDigits(t *testing.T) {
	d := newDispatcher(t)
	worker := taskyard.NewWorker(options(d))
	same := taskyard.Define[map[string]any, any]("same")
	same.Handle(worker, func(_ taskyard.Context, in map[string]any) (any, error) { return in, nil })
	serve(t, worker)
	s, _ := d.welcomed()
	s.assign(task("a", "same", `{"a":9007199254740993,"b":[1.0,1e2],"c":"<&>\u0000"}`))
	if got := described(s.finished()); got != `{"a":9007199254740993,"b":[1.0,1e2],"c":"<&>\u0000"}` {
		t.Errorf("it came back as %s", got)
	}
}

func TestStopsTellTheirCause(t *testing.T) {
	d := newDispatcher(t)
	worker := taskyard.NewWorker(options(d))
	w := newWaiter(worker)
	serve(t, worker)
	s, _ := d.welcomed()
	for reason, want := range map[pb.StopReason]struct {
		cause error
		sent  string
	}{
		pb.StopReason_STOP_REASON_CANCELLED: {taskyard.ErrCancelled, "cancelled"},
		pb.StopReason(77):                   {taskyard.ErrCancelled, "cancelled"},
		pb.StopReason_STOP_REASON_TIMEOUT:   {taskyard.ErrTimedOut, "TIMEOUT"},
	} {
		s.assign(task(reason.String(), "waiting", `""`))
		ctx := within(t, "the handler", w.contexts)
		s.stop(reason.String(), reason)
		within(t, "the end of its context", ctx.Done())
		if cause := context.Cause(ctx); cause != want.cause {
			t.Errorf("%v: the cause is %v", reason, cause)
		}
		if got := described(s.finished()); !strings.HasPrefix(got, want.sent) {
			t.Errorf("%v: sent is %s", reason, got)
		}
	}
}

func TestALostAttemptSendsNothing(t *testing.T) {
	d := newDispatcher(t)
	worker := taskyard.NewWorker(options(d))
	w := newWaiter(worker)
	serve(t, worker)
	s, _ := d.welcomed()
	s.assign(task("lost", "waiting", `""`))
	ctx := within(t, "the handler", w.contexts)
	s.stop("lost", pb.StopReason_STOP_REASON_LOST)
	within(t, "the end of its context", ctx.Done())
	if cause := context.Cause(ctx); cause != taskyard.ErrLost {
		t.Errorf("the cause is %v", cause)
	}
	s.assign(task("next", "waiting", `""`))
	within(t, "the handler", w.contexts)
	w.returns <- nil
	if result := s.finished(); result.TaskId != "next" {
		t.Errorf("the result of %s came", result.TaskId)
	}
}

func TestACancelledHandlerMayFinish(t *testing.T) {
	d := newDispatcher(t)
	worker := taskyard.NewWorker(options(d))
	w := newWaiter(worker)
	w.deaf = true
	serve(t, worker)
	s, _ := d.welcomed()
	for _, returned := range []struct {
		err  error
		want string
	}{{nil, `"done"`}, {errors.New("no"), `Error: no (retryable: true)`}} {
		s.assign(task(returned.want, "waiting", `""`))
		ctx := within(t, "the handler", w.contexts)
		s.stop(returned.want, pb.StopReason_STOP_REASON_CANCELLED)
		within(t, "the end of its context", ctx.Done())
		w.returns <- returned.err
		if got := described(s.finished()); got != returned.want {
			t.Errorf("sent is %s, not %s", got, returned.want)
		}
	}
}

func TestATimeout(t *testing.T) {
	d := newDispatcher(t)
	worker := taskyard.NewWorker(options(d))
	w := newWaiter(worker)
	serve(t, worker)
	s, _ := d.welcomed()
	s.assign(limited(task("slow", "waiting", `""`), 30*time.Millisecond))
	ctx := within(t, "the handler", w.contexts)
	if _, ok := ctx.Deadline(); !ok {
		t.Error("the context has no deadline")
	}
	failure := s.finished().GetError()
	if failure.GetType() != "TIMEOUT" || !failure.GetRetryable() || context.Cause(ctx) != taskyard.ErrTimedOut {
		t.Errorf("it ended with %v, cause %v", failure, context.Cause(ctx))
	}
}

func TestABreakWhileAnAttemptRuns(t *testing.T) {
	d := newDispatcher(t)
	worker := taskyard.NewWorker(options(d))
	w := newWaiter(worker)
	serve(t, worker)
	s, first := d.welcomed()
	s.assign(task("runs", "waiting", `""`), task("waits", "waiting", `""`))
	within(t, "a handler", w.contexts)
	within(t, "a handler", w.contexts)
	w.returns <- nil
	unacknowledged := s.result()
	s.end(codes.Unavailable, "shutting down")

	s, second := d.welcomed()
	if second.SessionId != first.SessionId || string(second.Secret) != string(first.Secret) {
		t.Error("the session is another one")
	}
	if len(second.Running) != 2 {
		t.Errorf("the hello lists %v", second.Running)
	}
	if again := s.finished(); again.TaskId != unacknowledged.TaskId {
		t.Errorf("%s was sent again, not %s", again.TaskId, unacknowledged.TaskId)
	}
	s.assign(&pb.Assignment{TaskId: unacknowledged.TaskId, Attempt: 1, Type: "waiting", Payload: []byte(`""`), Resent: true})
	w.returns <- nil
	if other := s.finished(); other.TaskId == unacknowledged.TaskId {
		t.Error("an attempt ran twice")
	}
	if len(w.contexts) != 0 {
		t.Error("a handler was started again")
	}
}

func TestTheNextDispatcherIsTakenAtOnce(t *testing.T) {
	a, b := newDispatcher(t), newDispatcher(t)
	worker := taskyard.NewWorker(options(a, b))
	newWaiter(worker)
	serve(t, worker)
	next := func() (*dispatcher, *stream) {
		select {
		case s := <-a.streams:
			return a, s
		case s := <-b.streams:
			return b, s
		case <-time.After(patience):
			t.Fatal("no stream came")
			panic("not reached")
		}
	}
	first, s := next()
	s.frame()
	s.send(&pb.DispatcherFrame{Welcome: &pb.Welcome{}})
	began := time.Now()
	s.send(&pb.DispatcherFrame{GoAway: true})
	second, _ := next()
	if second == first {
		t.Error("the worker came back to the dispatcher that goes away")
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestASessionHasAnIdWhileItIsServed(t *testing.T) {
	d := newDispatcher(t)
	worker := taskyard.NewWorker(options(d))
	newWaiter(worker)
	if before := worker.SessionID(); before != "" {
		t.Errorf("before it serves it is %q", before)
	}
	stop := serve(t, worker)
	if _, hello := d.welcomed(); worker.SessionID() != hello.SessionId {
		t.Errorf("it is %q, and the hello has %q", worker.SessionID(), hello.SessionId)
	}
	if err := stop(); err != nil || worker.SessionID() != "" {
		t.Errorf("after the end with %v it is %q", err, worker.SessionID())
	}
}

func TestDrainFinishesReleasesAndSaysGoodbye(t *testing.T) {
	d := newDispatcher(t)
	worker := taskyard.NewWorker(options(d))
	w := newWaiter(worker)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- worker.Serve(ctx) }()
	s, _ := d.welcomed()
	s.assign(task("finishes", "waiting", `""`), task("stops", "waiting", `""`))
	attempt := within(t, "a handler", w.contexts)
	within(t, "a handler", w.contexts)
	cancel()
	if frame := s.frame(); !frame.Drain {
		t.Fatalf("the first frame is %v", frame)
	}
	within(t, "the word that the worker drains", attempt.Draining())
	s.assign(task("crosses", "waiting", `""`))
	w.returns <- nil
	var released []string
	for goodbye := false; !goodbye; {
		frame := s.frame()
		if len(frame.Results) > 0 {
			s.ack(frame.Results...)
		}
		for _, ref := range frame.Released {
			released = append(released, ref.TaskId)
		}
		goodbye = frame.Goodbye
	}
	within(t, "the end of the worker's side", s.gone)
	slices.Sort(released)
	if len(released) != 2 || released[0] != "crosses" {
		t.Errorf("handed back were %v", released)
	}
	if err := within(t, "the worker's end", ended); err != nil {
		t.Error(err)
	}
}

func TestARefusedHelloEndsTheWorker(t *testing.T) {
	d := newDispatcher(t)
	worker := taskyard.NewWorker(options(d))
	newWaiter(worker)
	ended := make(chan error, 1)
	go func() { ended <- worker.Serve(context.Background()) }()
	s, _ := d.opened()
	s.end(codes.InvalidArgument, "hello.slots: must be 1 to 10000")
	err := within(t, "the worker's end", ended)
	if !errors.Is(err, taskyard.ErrRefused) || !strings.Contains(err.Error(), "hello.slots") {
		t.Errorf("it ended with %v", err)
	}
}

func TestInterceptorsRunAround(t *testing.T) {
	type key struct{}
	d := newDispatcher(t)
	settings := options(d)
	var order []string
	settings.Interceptors = []taskyard.Interceptor{
		func(ctx taskyard.Context, next func(taskyard.Context) error) error {
			order = append(order, "outer")
			err := next(ctx.WithContext(context.WithValue(ctx, key{}, "value")))
			return fmt.Errorf("outer saw: %w", err)
		},
		func(ctx taskyard.Context, next func(taskyard.Context) error) error {
			order = append(order, "inner")
			return next(ctx)
		},
	}
	worker := taskyard.NewWorker(settings)
	anything.Handle(worker, func(ctx taskyard.Context, _ string) (any, error) {
		derived, cancel := context.WithCancel(ctx)
		defer cancel()
		same, ok := taskyard.FromContext(derived)
		return nil, fmt.Errorf("%v %v %v", ctx.Value(key{}), ok, same.Token())
	})
	serve(t, worker)
	s, _ := d.welcomed()
	s.assign(task("a", "anything", `""`))
	if got := described(s.finished()); got != "Error: outer saw: value true a/1 (retryable: true)" {
		t.Errorf("it ended with %s", got)
	}
	if !slices.Equal(order, []string{"outer", "inner"}) {
		t.Errorf("the order is %v", order)
	}
}

func TestProgress(t *testing.T) {
	d := newDispatcher(t)
	worker := taskyard.NewWorker(options(d))
	w := newWaiter(worker)
	serve(t, worker)
	s, _ := d.welcomed()
	s.assign(task("a", "waiting", `""`))
	ctx := within(t, "the handler", w.contexts)
	for _, wrong := range []float64{-0.1, 1.1, math.NaN()} {
		if ctx.Progress(wrong, "") == nil {
			t.Errorf("a fraction of %v was taken", wrong)
		}
	}
	if err := ctx.Progress(0.5, strings.Repeat("é", 2000)); err != nil {
		t.Error(err)
	}
	progress := s.frame().Progress
	if len(progress) != 1 || progress[0].Progress.Fraction != 0.5 || progress[0].Progress.Message != strings.Repeat("é", 1000) {
		t.Errorf("sent is %v", progress)
	}
}

func TestSettingsThatAreWrong(t *testing.T) {
	t.Setenv("TASKYARD_WORKER_LABELS", "io=ssd,zone=a")
	for _, one := range []struct {
		options taskyard.WorkerOptions
		want    string
	}{
		{taskyard.WorkerOptions{Slots: 10_001}, "slots: must be 1 to 10000"},
		{taskyard.WorkerOptions{Dispatchers: []string{"a b"}}, `dispatchers: "a b" is not host:port`},
		{taskyard.WorkerOptions{Dispatchers: []string{"::1"}}, "is not host:port"},
		{taskyard.WorkerOptions{Labels: map[string]string{"": "x"}}, "labels: a key has 1 to 63"},
		{taskyard.WorkerOptions{Name: "a\nb"}, "name: must be printable"},
		{taskyard.WorkerOptions{HTTPAddress: "8080"}, "HTTP address: must be host:port"},
	} {
		worker := taskyard.NewWorker(one.options)
		newWaiter(worker)
		if err := worker.Check(); err == nil || !strings.Contains(err.Error(), one.want) {
			t.Errorf("%v: %v", one.options, err)
		}
	}
	none := taskyard.NewWorker(taskyard.WorkerOptions{})
	if err := none.Check(); err == nil {
		t.Error("a worker without handlers is right")
	}
	twice := taskyard.NewWorker(taskyard.WorkerOptions{})
	newWaiter(twice)
	newWaiter(twice)
	if err := twice.Check(); err == nil || !strings.Contains(err.Error(), `"waiting" has two handlers`) {
		t.Errorf("two handlers of one type: %v", err)
	}
}

func TestTheStatusPage(t *testing.T) {
	d := newDispatcher(t)
	settings := options(d)
	settings.HTTPAddress = "127.0.0.1:0"
	worker := taskyard.NewWorker(settings)
	greeting.Handle(worker, func(_ taskyard.Context, p place) (string, error) { return p.Town, nil })
	serve(t, worker)
	s, _ := d.opened()
	get := func(path string) (int, string) {
		t.Helper()
		answer, err := http.Get("http://" + worker.StatusAddress() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(body)
	}
	if code, _ := get("/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("ready before the welcome: %d", code)
	}
	s.send(&pb.DispatcherFrame{Welcome: &pb.Welcome{}})
	s.assign(task("a", "town.greet", "{}"))
	s.finished()
	for path, want := range map[string]int{"/livez": 200, "/readyz": 200, "/other": 404} {
		if code, _ := get(path); code != want {
			t.Errorf("%s is %d", path, code)
		}
	}
	if _, page := get("/metrics"); !strings.Contains(page, `taskyard_worker_attempts_total{outcome="succeeded"} 1`) {
		t.Errorf("the metrics are %s", page)
	}
	http.DefaultClient.CloseIdleConnections()
}
