package taskyard

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// stopOnSignals ends the context on the first signal and the process on the second.
func stopOnSignals(ctx context.Context) (context.Context, func()) {
	ctx, stop := context.WithCancel(ctx)
	received := make(chan os.Signal, 2)
	wanted := []os.Signal{syscall.SIGTERM, syscall.SIGINT}
	// Under nohup, hanging up is to be ignored.
	if !signal.Ignored(syscall.SIGHUP) {
		wanted = append(wanted, syscall.SIGHUP)
	}
	signal.Notify(received, wanted...)
	released, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for asked := false; ; asked = true {
			select {
			case <-released:
				return
			case number := <-received:
				// A terminal that is closed may say so twice: its kernel and its shell.
				if asked && number != syscall.SIGHUP {
					os.Exit(128 + int(number.(syscall.Signal)))
				}
				stop()
			}
		}
	}()
	return ctx, func() {
		signal.Stop(received)
		close(released)
		<-ended
		stop()
	}
}
