package session

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	pb "github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

// model is what a worker holds, told as simply as can be.
type model struct {
	*bench
	known map[string]*Attempt
	// What the model thinks of each attempt.
	running, waiting, released, over map[string]bool
	sent                             map[string]bool
	sequence                         int64
}

func name(attempt *Attempt) string { return fmt.Sprintf("%s/%d", attempt.TaskID, attempt.Attempt) }

// FuzzSession lets a worker and a dispatcher do anything in any order.
func FuzzSession(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})
	f.Add([]byte{2, 4, 10, 0, 1, 10, 3, 10})
	f.Add([]byte{2, 18, 34, 4, 20, 36, 10, 0, 1, 10, 9, 2, 10, 5, 10})
	for seed := range uint64(200) {
		chance := rand.New(rand.NewPCG(seed, 0))
		script := make([]byte, 300)
		for i := range script {
			script[i] = byte(chance.Uint32())
		}
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		m := &model{
			bench: welcomed(t), known: map[string]*Attempt{}, running: map[string]bool{}, waiting: map[string]bool{},
			released: map[string]bool{}, over: map[string]bool{}, sent: map[string]bool{},
		}
		for _, step := range script {
			m.step(int(step)%12, int32(step)/12%8)
			m.check()
		}
	})
}

func (m *model) step(deed int, number int32) {
	id := fmt.Sprintf("t%d", number%4)
	attempt := 1 + number/4
	key := fmt.Sprintf("%s/%d", id, attempt)
	held := m.known[key]
	switch deed {
	case 0:
		m.Disconnect()
	case 1:
		m.reconnect()
	case 2:
		m.given(id, attempt, key)
	case 3:
		m.judged(id, attempt, key)
	case 4, 5:
		if held != nil && m.Finish(held, resultOf(held, int(number)*(100<<10))) != m.running[key] {
			m.t.Fatalf("%s finished although it did not run, or did not although it did", key)
		}
		m.moveFromRunning(key, m.waiting)
	case 6:
		if held != nil {
			m.Release(held)
			m.moveFromRunning(key, m.released)
		}
	case 7:
		m.stopped(id, attempt, key, pb.StopReason(number))
	case 8:
		m.Drain()
	case 9:
		if held != nil {
			m.ReportProgress(held, &pb.Progress{Fraction: 0.5})
		}
	case 10:
		m.sends()
	case 11:
		m.now = m.now.Add(time.Duration(number) * time.Second)
	}
}

func (m *model) moveFromRunning(key string, to map[string]bool) {
	if m.running[key] {
		delete(m.running, key)
		to[key] = true
	}
}

func (m *model) reconnect() {
	m.Disconnect()
	clear(m.sent)
	held := map[string]bool{}
	for _, each := range []map[string]bool{m.running, m.waiting, m.released} {
		maps.Copy(held, each)
	}
	if got, want := named(m.connect()), slices.Sorted(maps.Keys(held)); !slices.Equal(got, want) {
		m.t.Fatalf("the hello lists %v, held is %v", got, want)
	}
}

func (m *model) given(id string, attempt int32, key string) {
	if !m.Welcomed() {
		return
	}
	unknown := !m.running[key] && !m.waiting[key] && !m.released[key] && !m.over[key]
	starts := m.assign(id, attempt)
	if want := unknown && !m.Draining(); (len(starts) == 1) != want {
		m.t.Fatalf("%s: started is %v, should be %v", key, len(starts) == 1, want)
	}
	switch {
	case len(starts) == 1:
		m.known[key], m.running[key] = starts[0], true
	case unknown:
		m.released[key] = true
	}
}

func (m *model) judged(id string, attempt int32, key string) {
	if m.Welcomed() {
		m.ack(id, attempt, pb.Verdict(attempt))
		if m.waiting[key] {
			delete(m.waiting, key)
			m.over[key] = true
		}
	}
}

func (m *model) stopped(id string, attempt int32, key string, reason pb.StopReason) {
	if !m.Welcomed() {
		return
	}
	stops := m.receive(&pb.DispatcherFrame{Stops: []*pb.Stop{{TaskId: id, Attempt: attempt, Reason: reason}}}).Stops
	if (len(stops) == 1) != m.running[key] {
		m.t.Fatalf("%s: stopped is %v, running %v", key, len(stops), m.running[key])
	}
	if reason == pb.StopReason_STOP_REASON_LOST {
		delete(m.running, key)
	}
}

func (m *model) sends() {
	frame := m.next()
	if frame == nil {
		return
	}
	if !m.Welcomed() || proto.Size(frame) >= 2<<20 {
		m.t.Fatalf("a frame of %d bytes, welcomed: %v", proto.Size(frame), m.Welcomed())
	}
	for _, result := range frame.Results {
		key := fmt.Sprintf("%s/%d", result.TaskId, result.Attempt)
		if m.sent[key] || !m.waiting[key] {
			m.t.Fatalf("%s was sent twice on a stream, or does not wait", key)
		}
		m.sent[key] = true
	}
	for _, ref := range frame.Released {
		key := fmt.Sprintf("%s/%d", ref.TaskId, ref.Attempt)
		if !m.released[key] {
			m.t.Fatalf("%s was handed back though nobody said so", key)
		}
		delete(m.released, key)
	}
	for _, progress := range frame.Progress {
		if key := fmt.Sprintf("%s/%d", progress.TaskId, progress.Attempt); !m.running[key] {
			m.t.Fatalf("progress of %s, which does not run", key)
		}
	}
	if beat := frame.Heartbeat; beat != nil {
		if m.sequence++; beat.Sequence != m.sequence {
			m.t.Fatalf("heartbeat %d, not %d", beat.Sequence, m.sequence)
		}
	}
}

func (m *model) check() {
	if m.Running() != len(m.running) || m.Unacked() != len(m.waiting) {
		m.t.Fatalf("%d running and %d unacknowledged, not %d and %d", m.Running(), m.Unacked(), len(m.running), len(m.waiting))
	}
	if settled := len(m.running)+len(m.waiting)+len(m.released) == 0; m.Settled() != settled {
		m.t.Fatalf("settled is %v, should be %v", m.Settled(), settled)
	}
	running := 0
	m.EachRunning(func(attempt *Attempt) {
		running++
		if !m.running[name(attempt)] {
			m.t.Fatalf("%s is said to run", name(attempt))
		}
	})
	if running != len(m.running) {
		m.t.Fatalf("%d of %d running were told", running, len(m.running))
	}
}
