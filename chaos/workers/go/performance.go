package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	taskyard "github.com/taskyard/taskyard/sdk/go"
)

// types are those of chaos/workloads/performance.py but for the hostile ones.
var types = []string{
	"chaos.plain",
	"chaos.slow",
	"chaos.priority",
	"chaos.placed",
	"chaos.large",
	"chaos.flaky",
	"chaos.hopeless",
	"chaos.failing",
	"chaos.shaky",
	"chaos.poison",
	"chaos.keyed",
	"chaos.delayed",
	"chaos.cancelled",
	"chaos.redriven",
	"chaos.row",
}

const (
	succeeded = "SUCCEEDED"
	failed    = "FAILED"
	hopeless  = "HOPELESS"
	stopped   = "STOPPED"
)

// order is a payload: what is to be done.
type order struct {
	Token *string `json:"token"`
	// Kills is how many of its workers it ends, Failures how many failures it has before it succeeds.
	Kills    int     `json:"kills"`
	Seconds  float64 `json:"seconds"`
	Failures int     `json:"failures"`
	// It fails for good if it is Hopeless, or before the attempt HopelessBefore.
	Hopeless       bool `json:"hopeless"`
	HopelessBefore int  `json:"hopeless_before"`
	// What it returns has Returns bytes, or Bulk in it if it is to Echo.
	Echo    bool   `json:"echo"`
	Bulk    string `json:"bulk"`
	Returns int    `json:"returns"`
}

// Unlucky was told to fail, and may succeed next time.
type Unlucky struct{ failures int }

func (e Unlucky) Error() string { return fmt.Sprintf("after %d failures", e.failures) }

// Hopeless was told to fail for good.
type Hopeless struct{ attempt int }

func (e Hopeless) Error() string { return fmt.Sprintf("attempt %d", e.attempt) }

// perform takes the time, dies, fails or succeeds, as the payload says.
func perform(ctx taskyard.Context, payload json.RawMessage) (json.RawMessage, error) {
	var told order
	if err := json.Unmarshal(payload, &told); err != nil {
		return nil, err
	}
	if ctx.Crashes() < told.Kills {
		die()
	}
	if err := pause(ctx, told.Seconds); err != nil {
		return nil, err
	}
	if told.Hopeless || ctx.Attempt() < told.HopelessBefore {
		return nil, taskyard.NonRetryable(Hopeless{ctx.Attempt()})
	}
	if ctx.Failures() < told.Failures {
		return nil, Unlucky{ctx.Failures()}
	}
	return told.result(ctx.Attempt())
}

// outcomeOf is the word for how an attempt ended.
func outcomeOf(ctx context.Context, err error) string {
	var giveUp Hopeless
	switch {
	case err == nil:
		return succeeded
	case errors.As(err, &giveUp):
		return hopeless
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return stopped
	default:
		return failed
	}
}

func die() {
	_ = unix.Kill(os.Getpid(), unix.SIGKILL)
	os.Exit(128 + int(unix.SIGKILL)) // process 1 of a container survives its own signal
}

func pause(ctx context.Context, seconds float64) error {
	if seconds <= 0 {
		return nil
	}
	timer := time.NewTimer(time.Duration(seconds * float64(time.Second)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// returned is a result, its fields in the order of the one in Python.
type returned struct {
	Token   string `json:"token"`
	Attempt int    `json:"attempt"`
	Echo    string `json:"echo"`
}

// result is what an attempt returns: unlike what any other attempt does.
func (o order) result(attempt int) (json.RawMessage, error) {
	if o.Token == nil {
		return nil, errors.New("the payload has no token")
	}
	said := returned{Token: *o.Token, Attempt: attempt}
	if o.Echo {
		said.Echo = o.Bulk
	}
	document, err := encoded(said)
	if err != nil || o.Returns == 0 {
		return document, err
	}
	said.Echo = strings.Repeat("x", max(o.Returns-len(document), 0))
	return encoded(said)
}

// encoded is a result as Python writes it: json.Marshal would escape what HTML has a use for.
func encoded(said returned) (json.RawMessage, error) {
	var document bytes.Buffer
	encoder := json.NewEncoder(&document)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(said)
	return bytes.TrimSuffix(document.Bytes(), []byte{'\n'}), err
}
