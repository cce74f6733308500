package main

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	taskyard "github.com/taskyard/taskyard/sdk/go"
)

const (
	defaultSlots = 20
	grace        = 5 * time.Second
)

// resolve is what the environment asks for, as far as the SDK does not read it itself. A worker without a name gets the
// other one, since its log must say the same as its hello.
func resolve(env func(string) string, otherName string) (taskyard.WorkerOptions, error) {
	if mode := env("CHAOS_WORKER_MODE"); mode != "" && mode != "work" {
		return taskyard.WorkerOptions{}, fmt.Errorf("CHAOS_WORKER_MODE: this worker can only work, got %q", mode)
	}
	labels, err := parseLabels(env("CHAOS_WORKER_LABELS"))
	if err != nil {
		return taskyard.WorkerOptions{}, err
	}
	options := taskyard.WorkerOptions{
		Labels: labels,
		Queues: strings.Fields(env("CHAOS_WORKER_QUEUES")),
		Name:   env("TASKYARD_WORKER_NAME"),
		Grace:  grace,
		// Tasks fail because they are told to; that is no news.
		Logger: slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	}
	if options.Name == "" {
		options.Name = otherName
	}
	if env("TASKYARD_WORKER_SLOTS") == "" {
		options.Slots = defaultSlots
	}
	return options, nil
}

// parseLabels reads "zone=a io=ssd".
func parseLabels(text string) (map[string]string, error) {
	labels := map[string]string{}
	for _, label := range strings.Fields(text) {
		name, value, found := strings.Cut(label, "=")
		if !found {
			return nil, fmt.Errorf("CHAOS_WORKER_LABELS: labels are written name=value, got %q", label)
		}
		labels[name] = value
	}
	return labels, nil
}
