package taskyard

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

const (
	statusConnections = 32
	statusTime        = 5 * time.Second
	statusHeadBytes   = 16 << 10
)

// statusPage serves /livez, /readyz and /metrics; nil serves nothing.
//
// Live: it answers; a worker that lost its dispatcher is not helped by a restart. Ready: a dispatcher holds its session
// and it takes assignments.
type statusPage struct {
	listener net.Listener
	server   *http.Server
	ended    chan struct{}
}

func newStatusPage(address string, status func() workerStatus) (*statusPage, error) {
	if address == "" {
		return nil, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("HTTP address: %w", err)
	}
	server := &http.Server{
		Handler: statusHandler(status), MaxHeaderBytes: statusHeadBytes,
		ReadTimeout: statusTime, WriteTimeout: statusTime, IdleTimeout: statusTime,
	}
	return &statusPage{netutil.LimitListener(listener, statusConnections), server, make(chan struct{})}, nil
}

func (p *statusPage) address() string {
	if p == nil {
		return ""
	}
	return p.listener.Addr().String()
}

func (p *statusPage) start() {
	if p == nil {
		return
	}
	go func() {
		defer close(p.ended)
		if err := p.server.Serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
			panic(fmt.Sprintf("taskyard: the status page ended: %v", err))
		}
	}()
}

func (p *statusPage) close() {
	if p == nil {
		return
	}
	_ = p.server.Close()
	_ = p.listener.Close()
	<-p.ended
}

func statusHandler(status func() workerStatus) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok\n") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if now := status(); !now.connected || now.draining {
			answer(w, http.StatusServiceUnavailable, "no session that takes assignments\n")
			return
		}
		answer(w, http.StatusOK, "ok\n")
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, metrics(status()))
	})
	return mux
}

func answer(w http.ResponseWriter, code int, body string) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(body))
}

func metrics(status workerStatus) string {
	var page bytes.Buffer
	page.WriteString("# TYPE taskyard_worker_attempts_total counter\n")
	for outcome, number := range status.outcomes {
		fmt.Fprintf(&page, "taskyard_worker_attempts_total{outcome=%q} %d\n", outcomeNames[outcome], number)
	}
	connected := 0
	if status.connected {
		connected = 1
	}
	for _, metric := range []struct {
		kind, name string
		value      int
	}{
		{"counter", "connects_total", status.connects},
		{"counter", "results_stale_total", status.stale},
		{"counter", "handlers_abandoned_total", status.abandoned},
		{"gauge", "connected", connected},
		{"gauge", "slots", status.slots},
		{"gauge", "attempts_running", status.running},
		{"gauge", "results_unacknowledged", status.unacknowledged},
	} {
		fmt.Fprintf(&page, "# TYPE taskyard_worker_%[1]s %[2]s\ntaskyard_worker_%[1]s %[3]d\n", metric.name, metric.kind, metric.value)
	}
	return page.String()
}
