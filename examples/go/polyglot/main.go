// Command polyglot is the worker in Go of `python -m examples.polyglot`, whose chains of tasks go from language to
// language.
package main

import (
	"context"
	"fmt"
	"log"
	"slices"

	taskyard "github.com/taskyard/taskyard/sdk/go"
)

const queue = "polyglot"

// Languages take turns; examples/polyglot/chains.py has the same.
var languages = []string{"python", "go", "typescript"}

// Chain is what a hop gets: the path that its chain has come so far, of so many hops.
type Chain struct {
	Chain int      `json:"chain"`
	Hops  int      `json:"hops"`
	Path  []string `json:"path"`
}

// hopIn is the task for a hop in a language. It returns the path with that hop.
func hopIn(language string) taskyard.Definition[Chain, []string] {
	return taskyard.Define[Chain, []string]("polyglot." + language)
}

// with is the chain one hop on.
func (c Chain) with(language string) Chain {
	c.Path = append(slices.Clone(c.Path), language)
	return c
}

func (c Chain) done() bool { return len(c.Path) >= c.Hops }

// submit submits the chain's next hop. One that is submitted twice is one task.
func (c Chain) submit(ctx context.Context, client *taskyard.Client) error {
	hop := len(c.Path)
	_, err := hopIn(languages[hop%len(languages)]).Submit(ctx, client, c,
		taskyard.Queue(queue), taskyard.IdempotencyKey(fmt.Sprintf("polyglot-%d-%d", c.Chain, hop)))
	return err
}

// hop hands the chain on before it ends: whoever is killed in between, the next attempt does it again to no effect.
func hop(client *taskyard.Client) func(taskyard.Context, Chain) ([]string, error) {
	return func(ctx taskyard.Context, chain Chain) ([]string, error) {
		chain = chain.with("go")
		if chain.done() {
			return chain.Path, nil
		}
		return chain.Path, chain.submit(ctx, client)
	}
}

func main() {
	if err := work(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func work(ctx context.Context) error {
	client, err := taskyard.NewClient(taskyard.ClientOptions{})
	if err != nil {
		return err
	}
	defer client.Close()
	worker := taskyard.NewWorker(taskyard.WorkerOptions{Queues: []string{queue}})
	hopIn("go").Handle(worker, hop(client))
	return worker.Run(ctx)
}
