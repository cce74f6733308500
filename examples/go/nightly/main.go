// Command nightly reports on a night's sales: what comes late is retried, what is broken ends among the dead letters
// and is redriven when it is repaired.
//
//	go run ./nightly worker
//	go run ./nightly FOLDER
package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"time"

	taskyard "github.com/taskyard/taskyard/sdk/go"
)

type Night struct {
	Folder string `json:"folder"`
	Day    string `json:"day"`
}

type Report struct {
	Day    string `json:"day"`
	Orders int    `json:"orders"`
	Cents  int    `json:"cents"`
}

var Nightly = taskyard.Define[Night, Report]("report.nightly")

// options are what every report is submitted with.
func options() []taskyard.SubmitOption {
	retry := taskyard.RetryPolicy{MaxAttempts: 5, InitialBackoff: 200 * time.Millisecond, Jitter: taskyard.NoJitter}
	return []taskyard.SubmitOption{taskyard.Queue("reports"), taskyard.Retry(retry)}
}

// A file that is not there yet is an error that is tried again; a line that is no number is not.
func summarise(ctx taskyard.Context, night Night) (Report, error) {
	sales, err := os.Open(filepath.Join(night.Folder, night.Day+".csv"))
	if err != nil {
		return Report{}, err
	}
	defer sales.Close()
	rows, err := csv.NewReader(sales).ReadAll()
	if err != nil {
		return Report{}, taskyard.NonRetryable(err)
	}
	report := Report{Day: night.Day}
	for _, row := range rows[min(1, len(rows)):] {
		cents, err := strconv.Atoi(row[0])
		if err != nil {
			return Report{}, taskyard.NonRetryable(err)
		}
		report.Orders, report.Cents = report.Orders+1, report.Cents+cents
	}
	return report, ctx.Progress(1, fmt.Sprintf("%d orders", report.Orders))
}

func main() {
	var err error
	switch {
	case len(os.Args) == 2 && os.Args[1] == "worker":
		err = work(context.Background())
	case len(os.Args) == 2:
		err = submit(context.Background(), os.Args[1])
	default:
		err = errors.New("usage: nightly worker | nightly FOLDER")
	}
	if err != nil {
		log.Fatal(err)
	}
}

func work(ctx context.Context) error {
	worker := taskyard.NewWorker(taskyard.WorkerOptions{Queues: []string{"reports"}})
	Nightly.Handle(worker, summarise)
	return worker.Run(ctx)
}

func submit(ctx context.Context, folder string) error {
	client, err := taskyard.NewClient(taskyard.ClientOptions{})
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return errors.Join(late(ctx, client, folder), broken(ctx, client, folder))
}

// late is a report whose sales come after its first attempt.
func late(ctx context.Context, client *taskyard.Client, folder string) error {
	handle, err := Nightly.Submit(ctx, client, Night{folder, "2026-11-28"}, options()...)
	if err != nil {
		return err
	}
	for tick := time.Tick(50 * time.Millisecond); ; <-tick {
		task, err := handle.Get(ctx)
		if err != nil {
			return err
		}
		if task.Failures > 0 {
			break
		}
	}
	if err := deliver(folder, "2026-11-28", "cents\n250\n350\n"); err != nil {
		return err
	}
	return show(ctx, handle)
}

// broken is a report whose sales are wrong, until somebody repairs them.
func broken(ctx context.Context, client *taskyard.Client, folder string) error {
	if err := deliver(folder, "2026-11-27", "cents\n100\nmany\n"); err != nil {
		return err
	}
	handle, err := Nightly.Submit(ctx, client, Night{folder, "2026-11-27"}, options()...)
	if err != nil {
		return err
	}
	var failed *taskyard.TaskFailedError
	if _, err := handle.Result(ctx); !errors.As(err, &failed) {
		return fmt.Errorf("the report did not fail: %w", err)
	}
	fmt.Println(failed.Type, failed.Message)
	if err := deliver(folder, "2026-11-27", "cents\n100\n200\n"); err != nil {
		return err
	}
	dead := taskyard.TaskFilter{Type: Nightly.Name(), ErrorType: failed.Type}
	again, err := client.RedriveMany(ctx, dead, taskyard.Bulk{})
	if err != nil {
		return err
	}
	fmt.Println(again.Count, "redriven")
	return show(ctx, handle)
}

func deliver(folder, day, sales string) error {
	return os.WriteFile(filepath.Join(folder, day+".csv"), []byte(sales), 0o644)
}

func show(ctx context.Context, handle *taskyard.Handle[Report]) error {
	report, err := handle.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%+v\n", report)
	return nil
}
