// Builds a folder with buildx as a library: buildx-library PROJECT CONTEXT OUTPUT_FOLDER
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"github.com/docker/buildx/build"
	"github.com/docker/buildx/builder"
	"github.com/docker/buildx/driver"
	_ "github.com/docker/buildx/driver/remote"
	"github.com/docker/buildx/store"
	"github.com/docker/buildx/util/confutil"
	"github.com/docker/buildx/util/progress"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/util/progress/progressui"

	"stoker.invalid/examples/go/buildapi"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: buildx-library PROJECT CONTEXT OUTPUT_FOLDER")
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
		return buildIn(ctx, endpoint, folder, output)
	})
}

func buildIn(ctx context.Context, endpoint *buildapi.Endpoint, folder, output string) error {
	keys, err := endpoint.Files()
	if err != nil {
		return err
	}
	defer os.RemoveAll(keys)
	node, err := nodeOf(ctx, endpoint, keys)
	if err != nil {
		return err
	}
	printer, err := progress.NewPrinter(ctx, os.Stderr, progressui.PlainMode)
	if err != nil {
		return err
	}
	options := map[string]build.Options{"default": {
		Inputs:  build.Inputs{ContextPath: folder, DockerfilePath: folder + "/Dockerfile"},
		Exports: []client.ExportEntry{{Type: client.ExporterLocal, OutputDir: output}},
	}}
	// buildx keeps what it remembers of builds in a folder; this one goes with the certificates.
	settings := confutil.NewConfig(nil, confutil.WithDir(keys))
	_, failure := build.Build(ctx, []builder.Node{*node}, options, nil, settings, printer, nil)
	if err := printer.Wait(); failure == nil {
		return err
	}
	return failure
}

// nodeOf is the endpoint as a builder's only node, by buildx's driver for BuildKits that are there already.
func nodeOf(ctx context.Context, endpoint *buildapi.Endpoint, keys string) (*builder.Node, error) {
	factory, err := driver.GetFactory("remote", true)
	if err != nil {
		return nil, err
	}
	handle, err := driver.GetDriver(ctx, factory, driver.InitConfig{
		Name:         "stoker",
		EndpointAddr: endpoint.Address,
		DriverOpts: map[string]string{
			"servername": endpoint.ServerName,
			"cacert":     keys + "/ca.pem",
			"cert":       keys + "/cert.pem",
			"key":        keys + "/key.pem",
		},
	})
	if err != nil {
		return nil, err
	}
	info, err := handle.Info(ctx)
	if err != nil {
		return nil, err
	}
	stored := store.Node{Name: "stoker", Endpoint: endpoint.Address}
	return &builder.Node{Node: stored, Builder: "stoker", Driver: handle, DriverInfo: info}, nil
}
