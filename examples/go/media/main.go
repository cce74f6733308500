// Command media is work for machines with the right labels, which tells how far it has come. It halves the sample rate
// of a WAV file.
//
//	TASKYARD_WORKER_LABELS=codec=wav,cores=2 go run ./media worker
//	go run ./media IN.wav OUT.wav
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	taskyard "github.com/taskyard/taskyard/sdk/go"
)

type Job struct {
	Source string `json:"source"`
	Target string `json:"target"`
}

type Media struct {
	Seconds float64 `json:"seconds"`
	Rate    int     `json:"rate"`
}

var Transcode = taskyard.Define[Job, Media]("media.transcode")

func halve(ctx taskyard.Context, job Job) (Media, error) {
	sound, err := readSound(job.Source)
	if err != nil {
		// Neither a missing file nor one of another kind gets better by itself.
		return Media{}, taskyard.NonRetryable(err)
	}
	const chunk = 4096
	frames := len(sound.samples)
	half := make([]int16, 0, frames/2+1)
	for done := 0; done < frames; done += chunk {
		// Cancelled, out of time, or the worker stops: context.Cause(ctx) tells which.
		if ctx.Err() != nil {
			return Media{}, ctx.Err()
		}
		for at := done; at < min(done+chunk, frames); at += 2 {
			half = append(half, sound.samples[at])
		}
		// Cheap: the latest of each half second is sent.
		if err := ctx.Progress(float64(done)/float64(frames), fmt.Sprintf("%d of %d frames", done, frames)); err != nil {
			return Media{}, err
		}
	}
	if err := writeSound(job.Target, sound.rate/2, half); err != nil {
		return Media{}, err
	}
	if err := ctx.Progress(1, fmt.Sprintf("%d of %d frames", frames, frames)); err != nil {
		return Media{}, err
	}
	return Media{float64(frames) / float64(sound.rate), sound.rate / 2}, nil
}

func main() {
	var err error
	switch {
	case len(os.Args) == 2 && os.Args[1] == "worker":
		err = work(context.Background())
	case len(os.Args) == 3:
		err = submit(context.Background(), Job{os.Args[1], os.Args[2]})
	default:
		err = errors.New("usage: media worker | media IN.wav OUT.wav")
	}
	if err != nil {
		log.Fatal(err)
	}
}

func work(ctx context.Context) error {
	// Such work takes the whole machine: two at a time.
	worker := taskyard.NewWorker(taskyard.WorkerOptions{Slots: 2, Queues: []string{"media"}})
	Transcode.Handle(worker, halve)
	return worker.Run(ctx)
}

func submit(ctx context.Context, job Job) error {
	client, err := taskyard.NewClient(taskyard.ClientOptions{})
	if err != nil {
		return err
	}
	defer client.Close()
	handle, err := Transcode.Submit(ctx, client, job,
		taskyard.Queue("media"), taskyard.Selector("codec=wav,cores>=1"), taskyard.Timeout(time.Hour))
	if err != nil {
		return err
	}
	for tick := time.Tick(time.Second / 2); ; <-tick {
		task, err := handle.Get(ctx)
		if err != nil {
			return err
		}
		if task.State.Terminal() {
			break
		}
		if task.Progress != nil {
			fmt.Println(task.Progress.Message)
		}
	}
	media, err := handle.Result(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%+v\n", media)
	return nil
}
