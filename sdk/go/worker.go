package taskyard

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	pb "github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

const maxTypes = 1000

// WorkerOptions are a worker's settings. What is not given here comes from the environment when the worker starts:
// TASKYARD_DISPATCHERS, TASKYARD_NAMESPACE, TASKYARD_WORKER_NAME, TASKYARD_WORKER_LABELS, TASKYARD_WORKER_SLOTS,
// TASKYARD_WORKER_GRACE (seconds), TASKYARD_WORKER_HTTP_ADDRESS.
type WorkerOptions struct {
	// Dispatchers are "host:port", or several with commas between them; default localhost:7071.
	Dispatchers []string
	// Labels are what tasks select workers by, e.g. {"io": "ssd", "memory_gb": "16"}; the environment's are added.
	Labels map[string]string
	// Slots is how many attempts run at once, 1 to 10000; default 100.
	Slots int
	// Queues are the queues served; none means all.
	Queues    []string
	Namespace string
	// Name is shown to people; default host name and process id.
	Name string
	// Version is the application's own, shown to operators.
	Version string
	// Grace is what running attempts get to finish once the worker is to stop; default 25 s, and nothing if it is
	// negative. After it they are told to stop, and what does not is handed back.
	Grace time.Duration
	// HTTPAddress is host:port for /livez, /readyz and /metrics; default none.
	HTTPAddress string
	// Interceptors run around every handler, the first one outermost.
	Interceptors []Interceptor
	// Logger is slog.Default() by default.
	Logger *slog.Logger
	// TLS is how to talk to dispatchers; nil means without.
	TLS *tls.Config
}

// Worker runs handlers for types of tasks. Definition.Handle gives it one.
type Worker struct {
	options  WorkerOptions
	handlers map[string]handler
	// What is wrong with the handlers.
	wrong error

	mu      sync.Mutex
	service *service
}

// NewWorker is a worker without handlers.
func NewWorker(options WorkerOptions) *Worker {
	return &Worker{options: options, handlers: map[string]handler{}}
}

func (w *Worker) handle(name string, function handler) {
	if _, taken := w.handlers[name]; taken {
		w.wrong = errors.Join(w.wrong, fmt.Errorf("%q has two handlers", name))
		return
	}
	w.handlers[name] = intercepted(function, w.options.Interceptors)
}

// Check tells what is wrong with the worker's settings and handlers, without starting it. Run tells the same.
func (w *Worker) Check() error {
	_, err := w.settle()
	return err
}

// Connected tells whether a dispatcher holds the worker's session right now.
func (w *Worker) Connected() bool {
	service := w.current()
	return service != nil && service.link.connected()
}

// SessionID is the id of its session while it serves; each Serve has a new one. Empty while it does not.
func (w *Worker) SessionID() string {
	if service := w.current(); service != nil {
		return service.sessionID
	}
	return ""
}

// StatusAddress is where /livez, /readyz and /metrics are served; empty while they are not.
func (w *Worker) StatusAddress() string {
	if service := w.current(); service != nil {
		return service.page.address()
	}
	return ""
}

func (w *Worker) current() *service {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.service
}

// Run serves until the context ends or SIGTERM, SIGINT or SIGHUP comes. Then the worker takes no more tasks, lets running
// handlers finish within the grace, hands the rest back and says goodbye. A second signal ends the process at once.
//
// It returns nil after that, ErrRefused if dispatchers refuse this worker for good, and otherwise what is wrong with the
// settings.
func (w *Worker) Run(ctx context.Context) error {
	ctx, release := stopOnSignals(ctx)
	defer release()
	return w.Serve(ctx)
}

// Serve is Run without signals.
func (w *Worker) Serve(ctx context.Context) error {
	settings, err := w.settle()
	if err != nil {
		return err
	}
	service, err := newService(ctx, w, settings)
	if err != nil {
		return fmt.Errorf("taskyard: worker: %w", err)
	}
	w.mu.Lock()
	if w.service != nil {
		w.mu.Unlock()
		service.page.close()
		return errors.New("taskyard: this worker is being served already")
	}
	w.service = service
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		w.service = nil
		w.mu.Unlock()
	}()
	return service.serve(ctx)
}

func (w *Worker) settle() (workerSettings, error) {
	settings, err := resolveWorker(w.options, os.Getenv)
	if len(w.handlers) < 1 || len(w.handlers) > maxTypes {
		err = errors.Join(fmt.Errorf("handlers: 1 to %d are needed, got %d", maxTypes, len(w.handlers)), err)
	}
	if err = errors.Join(w.wrong, err); err != nil {
		return workerSettings{}, fmt.Errorf("taskyard: worker: %w", err)
	}
	return settings, nil
}

// identity is the hello without what changes during the worker's life.
func (w *Worker) identity(settings workerSettings) *pb.Hello {
	return &pb.Hello{
		SessionId: newID(),
		Secret:    randomBytes(32),
		Namespace: settings.namespace,
		Worker:    settings.name,
		Types:     slices.Sorted(maps.Keys(w.handlers)),
		Queues:    settings.queues,
		Labels:    settings.labels,
		Slots:     int32(settings.slots),
		Pod:       settings.pod,
		Node:      settings.node,
		Sdk:       "go/" + Version,
		Pid:       int64(os.Getpid()),
		Version:   settings.version,
	}
}

// newID is a UUID that nobody can guess.
func newID() string {
	id := randomBytes(16)
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

func randomBytes(number int) []byte {
	drawn := make([]byte, number)
	// Never fails: it ends the program where the system has no chance to give.
	_, _ = rand.Read(drawn)
	return drawn
}
