// Command hello defines a task once, runs it, and submits it.
//
//	go run ./hello worker
//	go run ./hello
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	taskyard "github.com/taskyard/taskyard/sdk/go"
)

type Town struct {
	Town string `json:"town"`
}

// Greet is what worker and submitter share: the task's name, what it takes, what it returns.
var Greet = taskyard.Define[Town, string]("town.greet")

func greet(ctx taskyard.Context, in Town) (string, error) {
	return fmt.Sprintf("Hello %s, from attempt %d", in.Town, ctx.Attempt()), nil
}

func main() {
	run := submit
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		run = work
	}
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func work(ctx context.Context) error {
	worker := taskyard.NewWorker(taskyard.WorkerOptions{})
	Greet.Handle(worker, greet)
	return worker.Run(ctx)
}

func submit(ctx context.Context) error {
	client, err := taskyard.NewClient(taskyard.ClientOptions{})
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	handle, err := Greet.Submit(ctx, client, Town{"Lyon"})
	if err != nil {
		return err
	}
	greeting, err := handle.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Println(greeting)
	return nil
}
