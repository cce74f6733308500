// Package taskyardtest runs handlers in tests, without a server: submits, results, retries, cancels and dead letters
// are as on a cluster, but time is virtual, so that a retry after an hour takes no hour.
//
//	func TestGreet(t *testing.T) {
//		worker := taskyard.NewWorker(taskyard.WorkerOptions{})
//		Greet.Handle(worker, greet)
//		cluster := taskyardtest.New(t, worker)
//		handle, err := Greet.Submit(t.Context(), cluster.Client(), Town{"Lyon"})
//		…
//		result, err := handle.Result(t.Context())
//	}
package taskyardtest

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/test/bufconn"

	taskyard "github.com/taskyard/taskyard/sdk/go"
	"github.com/taskyard/taskyard/sdk/go/internal/inprocess"
	pb "github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

// Cluster is one in the memory of a test. It runs what is submitted with its Client by the handlers of its workers.
//
// A task that is due runs at once, and all that are due run at the same time. Time stands still until somebody waits
// for a task (Handle.Result, Handle.Wait, Settle): once nothing runs any more it jumps to when the next task is due.
// Backoffs have no jitter. An attempt's timeout is real time, since handlers are.
//
// Selectors are not looked at, and limits of sizes, names and numbers are not checked. A task without a handler stays
// QUEUED.
type Cluster struct {
	client  *taskyard.Client
	workers map[string]*taskyard.Worker
	server  *grpc.Server
	served  sync.WaitGroup

	mu   sync.Mutex
	now  time.Time
	base context.Context
	stop context.CancelCauseFunc
	// tasks are all that there are, in the order of their submits; byID and byKey find them.
	tasks   []*task
	byID    map[string]*task
	byKey   map[string]*task
	running int
	waiting int
	changed chan struct{}
}

// New is a cluster that has these workers, and ends with the test. A type is run by the last worker that has a handler
// for it.
func New(t testing.TB, workers ...*taskyard.Worker) *Cluster {
	t.Helper()
	c := &Cluster{
		workers: map[string]*taskyard.Worker{}, byID: map[string]*task{}, byKey: map[string]*task{},
		now: time.Now(), changed: make(chan struct{}),
	}
	c.base, c.stop = context.WithCancelCause(context.Background())
	for _, worker := range workers {
		if err := worker.Check(); err != nil {
			t.Fatal(err)
		}
		for _, name := range inprocess.Types(worker) {
			c.workers[name] = worker
		}
	}
	client, err := taskyard.NewClient(taskyard.ClientOptions{
		// Nothing listens there: connections are made in memory.
		Address: "127.0.0.1:1", Namespace: "default", DialOptions: c.serve(),
	})
	if err != nil {
		t.Fatal(err)
	}
	c.client = client
	t.Cleanup(c.close)
	return c
}

// Client talks to this cluster.
func (c *Cluster) Client() *taskyard.Client { return c.client }

// Now is the cluster's time.
func (c *Cluster) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Settle waits until every task that can run is over, those included that their handlers submit meanwhile.
func (c *Cluster) Settle(ctx context.Context) error {
	return c.await(ctx, func() bool { return c.running == 0 && !c.nextDue().found })
}

func (c *Cluster) serve() []grpc.DialOption {
	listener := bufconn.Listen(1 << 20)
	c.server = grpc.NewServer(grpc.MaxRecvMsgSize(8 << 20))
	pb.RegisterTaskServiceServer(c.server, &taskService{cluster: c})
	pb.RegisterQueueServiceServer(c.server, &queueService{cluster: c})
	pb.RegisterClusterServiceServer(c.server, &clusterService{cluster: c})
	alive := health.NewServer()
	alive.SetServingStatus("liveness", grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(c.server, alive)
	c.served.Add(1)
	go func() {
		defer c.served.Done()
		// It ends when the server is stopped, and says nothing else.
		_ = c.server.Serve(listener)
	}()
	return []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
	}
}

// close tells running handlers to stop and waits for them.
func (c *Cluster) close() {
	c.stop(taskyard.ErrShutdown)
	c.client.Close()
	c.server.Stop()
	c.served.Wait()
}

// await is true once something holds of the cluster, whose time goes on meanwhile.
func (c *Cluster) await(ctx context.Context, holds func() bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting++
	defer func() { c.waiting-- }()
	for c.step(); !holds(); {
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		c.mu.Lock()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}
