package taskyard_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"

	taskyard "github.com/taskyard/taskyard/sdk/go"
	pb "github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

// cluster is a real one on this machine.
type cluster struct {
	t     testing.TB
	grpc  string
	state string
	tasks pb.TaskServiceClient
}

type clusterProcess struct {
	Name      string
	Role      string
	Pid       int
	Addresses map[string]any
}

// newCluster starts what TASKYARD_SERVER names, as `make test-go` does; without that the test is skipped.
func newCluster(t testing.TB) *cluster {
	t.Helper()
	server := os.Getenv("TASKYARD_SERVER")
	if server == "" {
		t.Skip("needs TASKYARD_SERVER, the path of taskyard-server: `make test-go` gives it")
	}
	directory := filepath.Join(t.TempDir(), "cluster")
	command := exec.Command(server, "dev", "--dir", directory, "--workers", "0",
		"--rest-port", "0", "--grpc-port", "0", "--session-port", "0")
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	output, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	go watchForReady(output, ready)
	t.Cleanup(func() {
		if err := command.Process.Signal(syscall.SIGINT); err != nil {
			t.Error(err)
		}
		_ = command.Wait()
	})
	c := &cluster{t: t, state: filepath.Join(directory, "cluster.json"), grpc: awaitReady(t, ready)}
	conn, err := grpc.NewClient(c.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c.tasks = pb.NewTaskServiceClient(conn)
	return c
}

func watchForReady(output interface{ Read([]byte) (int, error) }, ready chan<- string) {
	defer close(ready)
	for lines := bufio.NewScanner(output); lines.Scan(); {
		for word := range strings.FieldsSeq(lines.Text()) {
			if address, found := strings.CutPrefix(word, "grpc="); found && strings.HasPrefix(lines.Text(), "READY") {
				ready <- address
			}
		}
	}
}

func awaitReady(t testing.TB, ready <-chan string) string {
	t.Helper()
	select {
	case address := <-ready:
		if address != "" {
			return address
		}
	case <-time.After(2 * time.Minute):
	}
	t.Fatal("the cluster did not start")
	panic("not reached")
}

func (c *cluster) processes(role string) []clusterProcess {
	c.t.Helper()
	document, err := os.ReadFile(c.state)
	var state struct{ Processes []clusterProcess }
	if err == nil {
		err = json.Unmarshal(document, &state)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	var found []clusterProcess
	for _, process := range state.Processes {
		if process.Role == role {
			found = append(found, process)
		}
	}
	return found
}

func (c *cluster) dispatchers() []string {
	var addresses []string
	for _, process := range c.processes("dispatcher") {
		addresses = append(addresses, process.Addresses["session"].(string))
	}
	return addresses
}

func (c *cluster) kill(name string) {
	c.t.Helper()
	for _, process := range c.processes("dispatcher") {
		if strings.HasPrefix(name, process.Name) {
			if err := syscall.Kill(process.Pid, syscall.SIGKILL); err != nil {
				c.t.Fatal(err)
			}
			return
		}
	}
	c.t.Fatalf("there is no dispatcher %q", name)
}

func (c *cluster) submit(number int, spec *pb.TaskSpec) []string {
	c.t.Helper()
	request := &pb.SubmitTasksRequest{IdsOnly: true}
	for range number {
		request.Tasks = append(request.Tasks, spec)
	}
	answer, err := c.tasks.SubmitTasks(context.Background(), request)
	if err != nil {
		c.t.Fatal(err)
	}
	var ids []string
	for _, result := range answer.Results {
		if failure := result.GetError(); failure != nil {
			c.t.Fatal(failure)
		}
		ids = append(ids, result.GetTask().GetId())
	}
	return ids
}

// over is a task that has ended.
func (c *cluster) over(id string) *pb.Task {
	c.t.Helper()
	task, err := c.tasks.WaitTask(context.Background(), &pb.WaitTaskRequest{Id: id, Wait: durationpb.New(time.Minute)})
	if err != nil {
		c.t.Fatal(err)
	}
	return task
}

// homes tells, of a worker's log, which dispatchers have welcomed it.
type homes struct {
	slog.Handler
	names chan string
}

func (h homes) Enabled(context.Context, slog.Level) bool { return true }

func (h homes) Handle(_ context.Context, record slog.Record) error {
	record.Attrs(func(attr slog.Attr) bool {
		if attr.Key == "dispatcher" {
			h.names <- attr.Value.String()
		}
		return true
	})
	return nil
}

func TestOnARealCluster(t *testing.T) {
	c := newCluster(t)
	home := homes{slog.DiscardHandler, make(chan string, 1000)}
	worker := taskyard.NewWorker(taskyard.WorkerOptions{
		Dispatchers: c.dispatchers(), Slots: 300, Grace: time.Second, Logger: slog.New(home),
	})
	w := newWaiter(worker)
	w.contexts = make(chan taskyard.Context, 1000)
	var failures atomic.Int32
	anything.Handle(worker, func(ctx taskyard.Context, _ string) (any, error) {
		if ctx.Failures() < 2 {
			failures.Add(1)
			return nil, errors.New("not yet")
		}
		return ctx.Attempt(), nil
	})
	stop := serve(t, worker)
	first := within(t, "a welcome", home.names)

	t.Run("a killed dispatcher costs no attempt", func(t *testing.T) {
		ids := c.submit(300, &pb.TaskSpec{Type: "waiting", Payload: []byte(`"x"`)})
		for range ids {
			within(t, "a handler", w.contexts)
		}
		c.kill(first)
		for range ids {
			w.returns <- nil
		}
		if next := within(t, "another welcome", home.names); next == first {
			t.Errorf("the dead %s welcomed it", next)
		}
		for _, id := range ids {
			if task := c.over(id); task.State != pb.TaskState_TASK_STATE_SUCCEEDED || task.Attempt != 1 {
				t.Errorf("%s: %v after attempt %d", id, task.State, task.Attempt)
			}
		}
		if again := len(w.contexts); again != 0 {
			t.Errorf("%d handlers were started twice", again)
		}
	})

	t.Run("a cancelled task", func(t *testing.T) {
		id := c.submit(1, &pb.TaskSpec{Type: "waiting", Payload: []byte(`"x"`)})[0]
		ctx := within(t, "the handler", w.contexts)
		if _, err := c.tasks.CancelTask(context.Background(), &pb.CancelTaskRequest{Id: id}); err != nil {
			t.Fatal(err)
		}
		within(t, "the end of its context", ctx.Done())
		if cause := context.Cause(ctx); cause != taskyard.ErrCancelled {
			t.Errorf("the cause is %v", cause)
		}
		if task := c.over(id); task.State != pb.TaskState_TASK_STATE_CANCELLED {
			t.Errorf("it is %v", task.State)
		}
	})

	t.Run("a task that fails twice", func(t *testing.T) {
		id := c.submit(1, &pb.TaskSpec{
			Type: "anything", Payload: []byte(`"x"`),
			Retry: &pb.RetryPolicy{InitialBackoff: durationpb.New(10 * time.Millisecond)},
		})[0]
		if task := c.over(id); string(task.Result) != "3" || task.Failures != 2 {
			t.Errorf("the result is %s after %d failures", task.Result, task.Failures)
		}
	})

	t.Run("a worker that stops hands back", func(t *testing.T) {
		id := c.submit(1, &pb.TaskSpec{Type: "waiting", Payload: []byte(`"x"`)})[0]
		ctx := within(t, "the handler", w.contexts)
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if cause := context.Cause(ctx); cause != taskyard.ErrShutdown {
			t.Errorf("the cause is %v", cause)
		}
		task, err := c.tasks.GetTask(context.Background(), &pb.GetTaskRequest{Id: id})
		if err != nil || task.State != pb.TaskState_TASK_STATE_QUEUED || task.Crashes+task.Failures != 0 {
			t.Errorf("it is %v: %v", task, err)
		}
	})
	if failures.Load() != 2 {
		t.Errorf("%d attempts failed", failures.Load())
	}
}
