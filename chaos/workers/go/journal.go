package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	taskyard "github.com/taskyard/taskyard/sdk/go"
)

// attempt is what a line says of whose it is.
type attempt struct {
	worker, session string
	token           taskyard.Token
}

// journal appends events to a file, a JSON line each, which chaos/history/journal.py reads.
//
// A line is written by one unbuffered append, so what has been written outlives a SIGKILL of its writer.
type journal struct {
	*os.File
	now func() (float64, error)
}

func openJournal(path string, clock func() (float64, error)) (*journal, error) {
	if path == "" {
		return nil, errors.New("CHAOS_WORKER_LOG: where to keep the log is missing")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o644)
	return &journal{file, clock}, err
}

// started notes that an attempt began.
func (j *journal) started(of attempt) error { return j.append("Started", of) }

// ended notes what an attempt came to; a result is noted by its digest.
func (j *journal) ended(of attempt, outcome string, result []byte) error {
	var said *string
	if outcome == succeeded {
		short := digest(result)
		said = &short
	}
	return j.append("Ended", of, outcome, said)
}

// append writes an event; when it returns, the kernel has it.
func (j *journal) append(kind string, of attempt, more ...any) error {
	at, err := j.now()
	if err != nil {
		return err
	}
	fields := []any{kind, at, of.worker, of.session, of.token.TaskID, of.token.Attempt}
	line, err := json.Marshal(append(fields, more...))
	if err != nil {
		return err
	}
	_, err = j.Write(append(line, '\n'))
	return err
}

// digest is a short name for a result; the audit computes the same in SQL.
func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:8])
}

// steadyClock tells seconds since the epoch by the monotonic clock, so that nothing that is done to the wall clock shows.
//
// The epoch is when the monotonic clock stood at zero; without it, what the wall clock says now is believed once.
func steadyClock(epoch string) (func() (float64, error), error) {
	zero, err := zeroOf(epoch)
	return func() (float64, error) {
		since, err := monotonic()
		return zero + since, err
	}, err
}

func zeroOf(epoch string) (float64, error) {
	if epoch == "" {
		since, err := monotonic()
		return float64(time.Now().UnixNano())/1e9 - since, err
	}
	zero, err := strconv.ParseFloat(epoch, 64)
	if err != nil {
		return 0, fmt.Errorf("CHAOS_EPOCH: must be a number of seconds, got %q", epoch)
	}
	return zero, nil
}

// monotonic is what all processes of a machine agree on, those in Python too; Go's own monotonic time is another.
func monotonic() (float64, error) {
	var now unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	return float64(now.Nano()) / 1e9, err
}
