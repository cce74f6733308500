package session

import (
	"time"

	pb "github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

const (
	maxResultsPerFrame  = 1000
	maxReleasesPerFrame = 1000
	maxProgressPerFrame = 200
	// A frame is smaller than 2 MiB: this leaves room for what else may be in it.
	resultBytesPerFrame = 3 << 19
	// What a result takes at most besides its texts.
	bytesOfFraming = 64
)

// Next fills a frame with everything that is ready, up to a frame's limits. False: there is nothing to send.
//
// The frame's slices are used again: it may be sent, and given here again after that.
func (s *State) Next(now time.Time, frame *pb.WorkerFrame) bool {
	empty(frame)
	if !s.welcomed {
		return false
	}
	s.addResults(frame)
	s.addReleases(frame)
	s.addProgress(frame, now)
	s.addHeartbeat(frame, now)
	if s.drainUnsent {
		s.drainUnsent = false
		frame.Drain = true
	}
	if isEmpty(frame) && s.leaving {
		// Alone: the dispatcher ends the session on it and looks no further.
		frame.Goodbye = true
	}
	return !isEmpty(frame)
}

func empty(frame *pb.WorkerFrame) {
	clear(frame.Results)
	clear(frame.Released)
	clear(frame.Progress)
	frame.Results, frame.Released, frame.Progress = frame.Results[:0], frame.Released[:0], frame.Progress[:0]
	frame.Heartbeat, frame.Drain, frame.Goodbye = nil, false, false
}

func isEmpty(frame *pb.WorkerFrame) bool {
	return len(frame.Results) == 0 && len(frame.Released) == 0 && len(frame.Progress) == 0 &&
		frame.Heartbeat == nil && !frame.Drain && !frame.Goodbye
}

// Due is when Next has something to say by the clock alone. False: never without a welcome.
func (s *State) Due() (time.Time, bool) {
	if !s.reporting.empty() && s.progressFrom.Before(s.heartbeatAt) {
		return s.progressFrom, s.welcomed
	}
	return s.heartbeatAt, s.welcomed
}

func (s *State) addResults(frame *pb.WorkerFrame) {
	room := resultBytesPerFrame
	for !s.unsent.empty() && len(frame.Results) < maxResultsPerFrame {
		attempt := s.unsent.first()
		if attempt.phase == finished {
			room -= sizeOf(attempt.result)
			if room < 0 && len(frame.Results) > 0 {
				return
			}
			frame.Results = append(frame.Results, attempt.result)
		}
		s.unsent.pop()
	}
}

// sizeOf is no less than what a result takes in a frame.
func sizeOf(result *pb.TaskResult) int {
	size := bytesOfFraming + len(result.TaskId)
	switch outcome := result.Outcome.(type) {
	case *pb.TaskResult_Result:
		size += len(outcome.Result)
	case *pb.TaskResult_Error:
		size += bytesOfFraming + len(outcome.Error.Type) + len(outcome.Error.Message) + len(outcome.Error.Stack)
	}
	return size
}

func (s *State) addReleases(frame *pb.WorkerFrame) {
	for !s.releasing.empty() && len(frame.Released) < maxReleasesPerFrame {
		attempt := s.releasing.pop()
		delete(s.attempts, attempt.Key)
		frame.Released = append(frame.Released, &pb.AttemptRef{TaskId: attempt.TaskID, Attempt: attempt.Attempt})
	}
}

func (s *State) addProgress(frame *pb.WorkerFrame, now time.Time) {
	if s.reporting.empty() || now.Before(s.progressFrom) {
		return
	}
	for !s.reporting.empty() && len(frame.Progress) < maxProgressPerFrame {
		attempt := s.reporting.pop()
		if attempt.progress == nil {
			continue // it ended meanwhile
		}
		frame.Progress = append(frame.Progress, &pb.TaskProgress{
			TaskId: attempt.TaskID, Attempt: attempt.Attempt, Progress: attempt.progress,
		})
		attempt.progress = nil
	}
	if len(frame.Progress) > 0 {
		s.progressFrom = now.Add(ProgressInterval)
	}
}

func (s *State) addHeartbeat(frame *pb.WorkerFrame, now time.Time) {
	if now.Before(s.heartbeatAt) {
		return
	}
	s.sequence++
	s.heartbeatAt = now.Add(s.heartbeatInterval)
	heard := s.heard
	frame.Heartbeat = &pb.Heartbeat{Sequence: s.sequence, Heard: &heard}
}
