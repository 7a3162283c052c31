// Builds a folder with BuildKit's own client: buildkit-client PROJECT CONTEXT OUTPUT_FOLDER
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/util/progress/progressui"
	"github.com/tonistiigi/fsutil"
	"golang.org/x/sync/errgroup"

	"stoker.invalid/examples/go/buildapi"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: buildkit-client PROJECT CONTEXT OUTPUT_FOLDER")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, project, folder, output string) error {
	api, err := buildapi.FromEnvironment()
	if err != nil {
		return err
	}
	return api.Run(ctx, project, func(ctx context.Context, endpoint *buildapi.Endpoint) error {
		return build(ctx, endpoint, folder, output)
	})
}

func build(ctx context.Context, endpoint *buildapi.Endpoint, folder, output string) error {
	keys, err := endpoint.Files()
	if err != nil {
		return err
	}
	defer os.RemoveAll(keys)
	bk, err := client.New(
		ctx,
		endpoint.Address,
		client.WithServerConfig(endpoint.ServerName, keys+"/ca.pem"),
		client.WithCredentials(keys+"/cert.pem", keys+"/key.pem"),
	)
	if err != nil {
		return err
	}
	defer bk.Close()
	local, err := fsutil.NewFS(folder)
	if err != nil {
		return err
	}
	display, err := progressui.NewDisplay(os.Stderr, progressui.PlainMode)
	if err != nil {
		return err
	}
	said := make(chan *client.SolveStatus)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		_, err := bk.Solve(ctx, nil, client.SolveOpt{
			Frontend:    "dockerfile.v0",
			LocalMounts: map[string]fsutil.FS{"context": local, "dockerfile": local},
			Exports:     []client.ExportEntry{{Type: client.ExporterLocal, OutputDir: output}},
		}, said)
		return err
	})
	group.Go(func() error {
		// The last of the progress is shown also when the build has failed.
		_, err := display.UpdateFrom(context.WithoutCancel(ctx), said)
		return err
	})
	return group.Wait()
}
