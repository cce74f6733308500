// Command checkout charges an order once, however often it is submitted and whichever attempt comes late.
//
//	go run ./checkout worker
//	go run ./checkout
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	taskyard "github.com/taskyard/taskyard/sdk/go"
)

type Order struct {
	ID    string `json:"id"`
	Cents int    `json:"cents"`
}

type Receipt struct {
	Order   string `json:"order"`
	Attempt int    `json:"attempt"`
}

var Checkout = taskyard.Define[Order, Receipt]("shop.checkout")

func (l *Ledger) charge(ctx taskyard.Context, order Order) (Receipt, error) {
	// The fence comes first: after it no older attempt, of a worker that was thought dead, can write any more.
	if err := l.Reserve(order, ctx.Attempt()); err != nil {
		return Receipt{}, taskyard.NonRetryable(err)
	}
	if ctx.Attempt() == 1 && strings.HasPrefix(order.ID, "flaky") {
		return Receipt{}, errors.New("the bank did not answer")
	}
	if err := l.Pay(order, ctx.Attempt()); err != nil {
		return Receipt{}, taskyard.NonRetryable(err)
	}
	return Receipt{order.ID, ctx.Attempt()}, nil
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
	worker := taskyard.NewWorker(taskyard.WorkerOptions{Slots: 10})
	Checkout.Handle(worker, NewLedger().charge)
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
	order := Order{"flaky-1", 4200}
	first, err := place(ctx, client, order)
	if err != nil {
		return err
	}
	// The customer clicks again.
	again, err := place(ctx, client, order)
	if err != nil {
		return err
	}
	fmt.Println("the same task:", again.ID == first.ID && again.Deduplicated)
	receipt, err := first.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%+v\n", receipt)
	return nil
}

func place(ctx context.Context, client *taskyard.Client, order Order) (*taskyard.Handle[Receipt], error) {
	return Checkout.Submit(ctx, client, order, taskyard.IdempotencyKey("checkout-"+order.ID),
		taskyard.Retry(taskyard.RetryPolicy{InitialBackoff: 100 * time.Millisecond}))
}
