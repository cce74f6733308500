package session

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

var start = time.Unix(1_700_000_000, 0)

// bench is a state with a stream that a dispatcher has welcomed.
type bench struct {
	*State
	t     testing.TB
	now   time.Time
	frame pb.WorkerFrame
}

func welcomed(t testing.TB) *bench {
	t.Helper()
	b := &bench{State: New(&pb.Hello{SessionId: "one", Slots: 10}), t: t, now: start}
	b.connect()
	return b
}

func (b *bench) connect() *pb.Hello {
	b.t.Helper()
	b.Connect(b.now)
	hello := b.Hello()
	b.receive(&pb.DispatcherFrame{Welcome: &pb.Welcome{Dispatcher: "d", Generation: 1}})
	return hello.Hello
}

func (b *bench) receive(frame *pb.DispatcherFrame) Received {
	b.t.Helper()
	got, err := b.Receive(frame, b.now)
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

func (b *bench) assign(id string, attempt int32) []*Attempt {
	b.t.Helper()
	return slices.Clone(b.receive(&pb.DispatcherFrame{
		Assignments: []*pb.Assignment{{TaskId: id, Attempt: attempt}},
	}).Starts)
}

// next is the next frame, or nil.
func (b *bench) next() *pb.WorkerFrame {
	if !b.Next(b.now, &b.frame) {
		return nil
	}
	return proto.CloneOf(&b.frame)
}

func (b *bench) ack(id string, attempt int32, verdict pb.Verdict) Received {
	return b.receive(&pb.DispatcherFrame{Acks: []*pb.ResultAck{{TaskId: id, Attempt: attempt, Verdict: verdict}}})
}

func resultOf(attempt *Attempt, size int) *pb.TaskResult {
	document := []byte(strings.Repeat("1", size))
	return &pb.TaskResult{
		TaskId: attempt.TaskID, Attempt: attempt.Attempt, Outcome: &pb.TaskResult_Result{Result: document},
	}
}

func named(hello *pb.Hello) []string {
	var names []string
	for _, ref := range hello.Running {
		names = append(names, fmt.Sprintf("%s/%d", ref.TaskId, ref.Attempt))
	}
	slices.Sort(names)
	return names
}

func TestNothingIsSentBeforeTheWelcome(t *testing.T) {
	state := New(&pb.Hello{})
	state.Connect(start)
	state.Hello()
	if state.Next(start.Add(time.Hour), &pb.WorkerFrame{}) {
		t.Error("a frame was there before the welcome")
	}
	if _, err := state.Receive(&pb.DispatcherFrame{}, start); !errors.Is(err, ErrNoWelcome) {
		t.Errorf("a first frame without welcome was taken: %v", err)
	}
	if want := start.Add(WelcomeTimeout); !state.SilentAt().Equal(want) {
		t.Errorf("the try is given up at %v, not at %v", state.SilentAt(), want)
	}
}

func TestAnAttemptRunsOnce(t *testing.T) {
	b := welcomed(t)
	attempt := b.assign("a", 1)[0]
	if again := b.assign("a", 1); len(again) != 0 {
		t.Error("it was started again while it ran")
	}
	b.Finish(attempt, resultOf(attempt, 1))
	if again := b.assign("a", 1); len(again) != 0 {
		t.Error("it was started again while its result waited")
	}
	b.ack("a", 1, pb.Verdict_VERDICT_ACCEPTED)
	if again := b.assign("a", 1); len(again) != 0 {
		t.Error("it was started again after its ack")
	}
	if newer := b.assign("a", 2); len(newer) != 1 {
		t.Error("a newer attempt of the task was not started")
	}
}

func TestAResultIsKeptUntilItsAck(t *testing.T) {
	b := welcomed(t)
	attempt := b.assign("a", 1)[0]
	b.Finish(attempt, resultOf(attempt, 1))
	if frame := b.next(); len(frame.GetResults()) != 1 {
		t.Fatalf("its result was not sent: %v", frame)
	}
	if frame := b.next(); frame != nil {
		t.Errorf("it was sent twice on one stream: %v", frame)
	}
	b.Disconnect()
	if held := named(b.connect()); !slices.Equal(held, []string{"a/1"}) {
		t.Errorf("the next hello lists %v", held)
	}
	if frame := b.next(); len(frame.GetResults()) != 1 {
		t.Errorf("it was not sent again: %v", frame)
	}
}

func TestAnyVerdictEndsAResult(t *testing.T) {
	for verdict := range pb.Verdict(9) {
		b := welcomed(t)
		attempt := b.assign("a", 1)[0]
		b.Finish(attempt, resultOf(attempt, 1))
		got := b.ack("a", 1, verdict)
		if !b.Settled() {
			t.Errorf("%v did not end it", verdict)
		}
		if refused := len(got.Refused) == 1; refused != (verdict != pb.Verdict_VERDICT_ACCEPTED) {
			t.Errorf("%v: refused is %v", verdict, refused)
		}
	}
}

func TestStops(t *testing.T) {
	b := welcomed(t)
	stop := func(id string, reason pb.StopReason) []Stop {
		return b.receive(&pb.DispatcherFrame{Stops: []*pb.Stop{{TaskId: id, Attempt: 1, Reason: reason}}}).Stops
	}
	running, finished := b.assign("running", 1)[0], b.assign("finished", 1)[0]
	b.Finish(finished, resultOf(finished, 1))
	if stops := stop("finished", pb.StopReason_STOP_REASON_LOST); len(stops) != 0 || b.Unacked() != 1 {
		t.Errorf("a stop touched what had finished: %v", stops)
	}
	if stops := stop("unknown", pb.StopReason_STOP_REASON_CANCELLED); len(stops) != 0 {
		t.Errorf("an attempt was stopped that nobody has: %v", stops)
	}
	if stops := stop("running", pb.StopReason_STOP_REASON_LOST); len(stops) != 1 || b.Running() != 0 {
		t.Errorf("the lost one was not stopped: %v", stops)
	}
	if b.Finish(running, resultOf(running, 1)) {
		t.Error("a lost attempt was reported")
	}
}

func TestLargeResultsAreSpreadOverFrames(t *testing.T) {
	b := welcomed(t)
	for _, size := range []int{900 << 10, 900 << 10, 900 << 10} {
		attempt := b.assign(fmt.Sprint(b.running, b.unacked), 1)[0]
		b.Finish(attempt, resultOf(attempt, size))
	}
	for range 3 {
		if frame := b.next(); len(frame.GetResults()) != 1 || proto.Size(frame) >= 2<<20 {
			t.Errorf("a frame of %d results and %d bytes", len(frame.GetResults()), proto.Size(frame))
		}
	}
}

func TestDrain(t *testing.T) {
	b := welcomed(t)
	attempt := b.assign("a", 1)[0]
	b.Drain()
	if frame := b.next(); !frame.GetDrain() {
		t.Errorf("the drain was not sent: %v", frame)
	}
	if late := b.assign("late", 1); len(late) != 0 {
		t.Error("an assignment that crossed the drain was started")
	}
	if frame := b.next(); len(frame.GetReleased()) != 1 {
		t.Errorf("it was not handed back: %v", frame)
	}
	b.Finish(attempt, resultOf(attempt, 1))
	b.Leave()
	if frame := b.next(); frame.GetGoodbye() || len(frame.GetResults()) != 1 {
		t.Errorf("the goodbye was not alone: %v", frame)
	}
	if frame := b.next(); !frame.GetGoodbye() {
		t.Errorf("there was no goodbye: %v", frame)
	}
}

func TestHeartbeats(t *testing.T) {
	b := welcomed(t)
	for want := int64(1); want < 4; want++ {
		b.now = b.now.Add(defaultHeartbeatInterval)
		if due, _ := b.Due(); !due.Equal(b.now) {
			t.Errorf("due at %v, not at %v", due, b.now)
		}
		beat := b.next().GetHeartbeat()
		if beat.GetSequence() != want || beat.GetHeard() != want-1 {
			t.Errorf("the heartbeat is %v", beat)
		}
		b.receive(&pb.DispatcherFrame{Heartbeat: &pb.Heartbeat{Sequence: want}})
	}
	b.Disconnect()
	b.connect()
	b.now = b.now.Add(defaultHeartbeatInterval)
	if beat := b.next().GetHeartbeat(); beat.GetSequence() != 4 || beat.GetHeard() != 3 {
		t.Errorf("after a reconnect it is %v", beat)
	}
}

func TestTimesOfTheWelcome(t *testing.T) {
	b := welcomed(t)
	b.receive(&pb.DispatcherFrame{Welcome: &pb.Welcome{
		HeartbeatInterval: durationpb.New(time.Second), SessionTimeout: durationpb.New(2 * time.Second),
	}})
	if due, _ := b.Due(); !due.Equal(start.Add(time.Second)) || !b.SilentAt().Equal(start.Add(2*time.Second)) {
		t.Errorf("due at %v, silent at %v", due, b.SilentAt())
	}
}

func TestProgressIsCoalesced(t *testing.T) {
	b := welcomed(t)
	attempt := b.assign("a", 1)[0]
	b.ReportProgress(attempt, &pb.Progress{Fraction: 0.1})
	b.ReportProgress(attempt, &pb.Progress{Fraction: 0.2})
	if frame := b.next(); len(frame.GetProgress()) != 1 || frame.Progress[0].Progress.Fraction != 0.2 {
		t.Errorf("the first report is %v", frame)
	}
	b.ReportProgress(attempt, &pb.Progress{Fraction: 0.3})
	if frame := b.next(); frame != nil {
		t.Errorf("the second one did not wait: %v", frame)
	}
	b.now = b.now.Add(ProgressInterval)
	if frame := b.next(); len(frame.GetProgress()) != 1 {
		t.Errorf("the second one did not come: %v", frame)
	}
	b.ReportProgress(attempt, &pb.Progress{Fraction: 0.4})
	b.Finish(attempt, resultOf(attempt, 1))
	b.now = b.now.Add(ProgressInterval)
	if frame := b.next(); len(frame.GetProgress()) != 0 {
		t.Errorf("progress of what has finished: %v", frame)
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	b := welcomed(t)
	for number := range 2 * Remembered {
		id := fmt.Sprint(number)
		attempt := b.assign(id, 1)[0]
		b.Finish(attempt, resultOf(attempt, 1))
		b.next()
		b.ack(id, 1, pb.Verdict_VERDICT_ACCEPTED)
	}
	if len(b.attempts) != Remembered {
		t.Errorf("%d attempts are remembered", len(b.attempts))
	}
	if known := b.assign(fmt.Sprint(Remembered), 1); len(known) != 0 {
		t.Error("a late resend was started")
	}
}
