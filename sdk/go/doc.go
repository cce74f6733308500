// Package taskyard has workers and clients of Taskyard, a distributed task scheduler.
//
// A task is defined once, for the worker that runs it and for whoever submits it:
//
//	type Town struct{ Town string `json:"town"` }
//
//	var Greet = taskyard.Define[Town, string]("town.greet")
//
// A worker has handlers, and runs until it is told to stop:
//
//	worker := taskyard.NewWorker(taskyard.WorkerOptions{})
//	Greet.Handle(worker, func(ctx taskyard.Context, in Town) (string, error) { return "Hello " + in.Town, nil })
//	err := worker.Run(ctx)
//
// A client submits tasks and gets their results:
//
//	client, err := taskyard.NewClient(taskyard.ClientOptions{})
//	handle, err := Greet.Submit(ctx, client, Town{"Lyon"}, taskyard.IdempotencyKey("greet-lyon"))
//	greeting, err := handle.Result(ctx)
//
// Package taskyardtest runs handlers in tests, without a server.
package taskyard
