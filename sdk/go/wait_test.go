package taskyard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

func TestAWaitThatRunsOutLeavesTheTask(t *testing.T) {
	fake, client := started(t, ClientOptions{})
	handle := submit(t, client)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := handle.Result(ctx)
	if !errors.Is(err, ErrDeadlineExceeded) || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	fake.until(t, "the watch ended", func() bool { return fake.streams == 0 })
	if state, err := handle.State(t.Context()); state != StateQueued || err != nil {
		t.Error(state, err)
	}
}

func TestAResultWaitsThroughAnOutage(t *testing.T) {
	fake := newFakeScheduler()
	address, stop := fake.serve(t, "127.0.0.1:0")
	client := clientOf(t, ClientOptions{Address: address})
	handle := submit(t, client)
	got := make(chan string, 1)
	go func() {
		result, err := handle.Result(t.Context())
		if err != nil {
			t.Error(err)
		}
		got <- result
	}()
	fake.until(t, "a watch", func() bool { return fake.streams == 1 })
	stop()
	fake.end(handle.ID, taskyardpb.TaskState_TASK_STATE_SUCCEEDED, `"back"`, nil)
	fake.serve(t, address)
	if result := <-got; result != "back" {
		t.Error(result)
	}
}

func TestAThousandWaitsShareStreams(t *testing.T) {
	fake, client := started(t, ClientOptions{})
	requests := make([]Request, 1000)
	for i := range requests {
		requests[i] = greetTown.Request(town{fmt.Sprint(i)})
	}
	var all sync.WaitGroup
	outcomes := client.SubmitMany(t.Context(), requests)
	for _, outcome := range outcomes {
		all.Add(1)
		go func() {
			defer all.Done()
			if result, err := greetTown.Task(client, outcome.ID).Result(t.Context()); result != outcome.ID || err != nil {
				t.Error(result, err)
			}
		}()
	}
	everyoneWaits := func() bool {
		client.watcher.mu.Lock()
		defer client.watcher.mu.Unlock()
		return len(client.watcher.waits) == len(requests)
	}
	eventually(t, "all wait", everyoneWaits)
	for _, outcome := range outcomes {
		fake.end(outcome.ID, taskyardpb.TaskState_TASK_STATE_SUCCEEDED, `"`+outcome.ID+`"`, nil)
	}
	all.Wait()
	if fake.mostStreams > watchesAtOnce+1 || fake.opened > 100 {
		t.Errorf("%d streams at once, %d in all", fake.mostStreams, fake.opened)
	}
}

func TestManySmallWatchesAreMerged(t *testing.T) {
	fake, client := started(t, ClientOptions{})
	var all sync.WaitGroup
	var handles []*Handle[string]
	for i := range 2 * watchesAtOnce {
		handle := submit(t, client)
		handles = append(handles, handle)
		all.Add(1)
		go func() {
			defer all.Done()
			if _, err := handle.Result(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		fake.until(t, "a watch of it", func() bool { return fake.opened > i })
	}
	client.watcher.mu.Lock()
	watches := len(client.watcher.watches)
	client.watcher.mu.Unlock()
	if watches > watchesAtOnce {
		t.Errorf("%d watches", watches)
	}
	for _, handle := range handles {
		fake.end(handle.ID, taskyardpb.TaskState_TASK_STATE_SUCCEEDED, `""`, nil)
	}
	all.Wait()
}

func TestOneWaitForManyCallers(t *testing.T) {
	fake, client := started(t, ClientOptions{})
	handle := submit(t, client)
	impatient, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { _, err := handle.Result(impatient); left <- err }()
	stayed := make(chan error, 1)
	go func() { _, err := handle.Result(t.Context()); stayed <- err }()
	bothWait := func() bool {
		client.watcher.mu.Lock()
		defer client.watcher.mu.Unlock()
		wait := client.watcher.waits[handle.ID]
		return wait != nil && wait.users == 2
	}
	eventually(t, "both wait", bothWait)
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	fake.end(handle.ID, taskyardpb.TaskState_TASK_STATE_SUCCEEDED, `""`, nil)
	if err := <-stayed; err != nil {
		t.Error(err)
	}
	if fake.opened != 1 {
		t.Errorf("%d streams", fake.opened)
	}
}

func TestAnIDThatIsNoneHarmsNoOtherWait(t *testing.T) {
	fake, client := started(t, ClientOptions{})
	handle := submit(t, client)
	var once sync.Once
	refuse := func() (err error) {
		once.Do(func() { err = refused(codes.InvalidArgument, "INVALID_ARGUMENT", badIDs("ids[0]")) })
		return err
	}
	address, _ := fake.serve(t, "127.0.0.1:0", beforeWatches(refuse))
	other := clientOf(t, ClientOptions{Address: address})
	fake.end(handle.ID, taskyardpb.TaskState_TASK_STATE_SUCCEEDED, `""`, nil)
	ended := make(chan error, 2)
	other.watcher.mu.Lock() // both enter before a stream is opened
	waits := []*wait{{over: make(chan struct{}), users: 1}, {over: make(chan struct{}), users: 1}}
	other.watcher.waits[handle.ID], other.watcher.waits["nonsense"] = waits[0], waits[1]
	other.watcher.start([]string{"nonsense", handle.ID})
	other.watcher.mu.Unlock()
	for _, wait := range waits {
		<-wait.over
		ended <- wait.err
	}
	// The first of the stream's ids, whichever that was, is refused; the other ends as it should.
	one, two := <-ended, <-ended
	if errors.Is(one, ErrInvalidArgument) == errors.Is(two, ErrInvalidArgument) {
		t.Error(one, two)
	}
}

func TestWhatTheServerSaysOfAWatchEndsIt(t *testing.T) {
	refuse := func() error { return lost(codes.PermissionDenied) }
	address, _ := newFakeScheduler().serve(t, "127.0.0.1:0", beforeWatches(refuse))
	client := clientOf(t, ClientOptions{Address: address})
	if _, err := client.Wait(t.Context(), "0193a1b2-0000-7000-8000-000000000000"); !errors.Is(err, ErrAccessDenied) {
		t.Error(err)
	}
}

// beforeWatches asks before each WatchTasks whether to refuse it.
func beforeWatches(refuse func() error) grpc.ServerOption {
	return grpc.StreamInterceptor(func(
		server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler,
	) error {
		if info.FullMethod == taskyardpb.TaskService_WatchTasks_FullMethodName {
			if err := refuse(); err != nil {
				return err
			}
		}
		return next(server, stream)
	})
}

func TestAResultThatIsNoJSONIsNotGivenOn(t *testing.T) {
	fake, client := started(t, ClientOptions{})
	handle := submit(t, client)
	fake.end(handle.ID, taskyardpb.TaskState_TASK_STATE_SUCCEEDED, `{"half": `, nil)
	if _, err := Any("town.greet").Task(client, handle.ID).Result(t.Context()); !errors.Is(err, ErrMismatch) {
		t.Error(err)
	}
}
