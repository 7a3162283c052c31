// Package buildapi creates builds through Depot's Build API, and gets and keeps their BuildKit endpoints.
//
// It speaks the Connect protocol with JSON, so it needs no generated code.
package buildapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"time"

	"connectrpc.com/connect"
)

const (
	builds    = "/depot.build.v1.BuildService/"
	endpoints = "/depot.buildkit.v1.BuildKitService/"
	// A build whose client says nothing for five minutes is given up.
	healthEvery = 30 * time.Second
)

// Client calls the API that DEPOT_API_URL names, with the credential of DEPOT_TOKEN.
type Client struct {
	url   string
	token string
	http  *http.Client
}

// Endpoint is a BuildKit of one's own, for as long as the build runs. Certificates and keys are PEM.
type Endpoint struct {
	Address    string
	ServerName string
	Cert       string
	Key        string
	CACert     string
}

type createRequest struct {
	ProjectID string `json:"projectId"`
}

type createResponse struct {
	BuildID    string `json:"buildId"`
	BuildToken string `json:"buildToken"`
}

type finishRequest struct {
	BuildID string         `json:"buildId"`
	Success *struct{}      `json:"success,omitempty"`
	Error   *finishedError `json:"error,omitempty"`
}

type finishedError struct {
	Error string `json:"error"`
}

type endpointRequest struct {
	BuildID  string `json:"buildId"`
	Platform string `json:"platform"`
}

type certificate struct {
	Cert string `json:"cert"`
}

type endpointResponse struct {
	Active *struct {
		Endpoint   string `json:"endpoint"`
		ServerName string `json:"serverName"`
		Cert       struct {
			Cert certificate `json:"cert"`
			Key  struct {
				Key string `json:"key"`
			} `json:"key"`
		} `json:"cert"`
		CACert certificate `json:"caCert"`
	} `json:"active"`
}

type nothing struct{}

// plainJSON lets connect-go carry Go structs instead of protobuf messages.
type plainJSON struct{}

func (plainJSON) Name() string                          { return "json" }
func (plainJSON) Marshal(message any) ([]byte, error)   { return json.Marshal(message) }
func (plainJSON) Unmarshal(data []byte, into any) error { return json.Unmarshal(data, into) }

// FromEnvironment makes a client from DEPOT_API_URL and DEPOT_TOKEN.
func FromEnvironment() (*Client, error) {
	url, token := os.Getenv("DEPOT_API_URL"), os.Getenv("DEPOT_TOKEN")
	if url == "" || token == "" {
		return nil, fmt.Errorf("DEPOT_API_URL and DEPOT_TOKEN have to be set")
	}
	protocols := new(http.Protocols)
	// HTTP/2 also without TLS, for streams that go on for as long as a build.
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, Protocols: protocols}
	return &Client{url: url, token: token, http: &http.Client{Transport: transport}}, nil
}

// Run creates a build in a project, calls build with an endpoint for this host's own platform, and tells how it ended.
func (c *Client) Run(ctx context.Context, projectID string, build func(context.Context, *Endpoint) error) error {
	created, err := call[createRequest, createResponse](
		ctx, c, builds+"CreateBuild", c.token, &createRequest{ProjectID: projectID},
	)
	if err != nil {
		return err
	}
	failure := c.runBuild(ctx, created, build)
	finish := &finishRequest{BuildID: created.BuildID, Success: &struct{}{}}
	if failure != nil {
		finish.Success, finish.Error = nil, &finishedError{Error: failure.Error()}
	}
	// Also when the build was interrupted.
	_, err = call[finishRequest, nothing](context.WithoutCancel(ctx), c, builds+"FinishBuild", c.token, finish)
	if failure != nil {
		return failure
	}
	return err
}

func (c *Client) runBuild(
	ctx context.Context, created *createResponse, build func(context.Context, *Endpoint) error,
) error {
	hold := &endpointRequest{BuildID: created.BuildID, Platform: "PLATFORM_" + map[string]string{
		"amd64": "AMD64", "arm64": "ARM64",
	}[runtime.GOARCH]}
	endpoint, err := c.endpoint(ctx, created.BuildToken, hold)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go c.keep(ctx, created.BuildToken, hold)
	return build(ctx, endpoint)
}

// endpoint waits for the machine: the stream says "pending" now and again, and "active" at its end.
func (c *Client) endpoint(ctx context.Context, token string, hold *endpointRequest) (*Endpoint, error) {
	client := newClient[endpointRequest, endpointResponse](c, endpoints+"GetEndpoint")
	request := connect.NewRequest(hold)
	request.Header().Set("Authorization", "Bearer "+token)
	stream, err := client.CallServerStream(ctx, request)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	for stream.Receive() {
		if active := stream.Msg().Active; active != nil {
			return &Endpoint{
				Address:    active.Endpoint,
				ServerName: active.ServerName,
				Cert:       active.Cert.Cert.Cert,
				Key:        active.Cert.Key.Key,
				CACert:     active.CACert.Cert,
			}, nil
		}
	}
	if err := stream.Err(); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("the server gave no endpoint")
}

// keep reports that the build is alive, until it ends. A stream that breaks is opened again.
func (c *Client) keep(ctx context.Context, token string, hold *endpointRequest) {
	client := newClient[endpointRequest, nothing](c, endpoints+"ReportHealth")
	for ctx.Err() == nil {
		stream := client.CallClientStream(ctx)
		stream.RequestHeader().Set("Authorization", "Bearer "+token)
		for stream.Send(hold) == nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(healthEvery):
			}
		}
		_, _ = stream.CloseAndReceive()
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func newClient[Request, Response any](c *Client, path string) *connect.Client[Request, Response] {
	return connect.NewClient[Request, Response](c.http, c.url+path, connect.WithCodec(plainJSON{}))
}

func call[Request, Response any](
	ctx context.Context, c *Client, path string, token string, message *Request,
) (*Response, error) {
	request := connect.NewRequest(message)
	request.Header().Set("Authorization", "Bearer "+token)
	response, err := newClient[Request, Response](c, path).CallUnary(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.Msg, nil
}

// Files writes the endpoint's certificates to a folder that only this user may enter, for libraries that want files.
// It returns the folder, which the caller removes.
func (e *Endpoint) Files() (string, error) {
	folder, err := os.MkdirTemp("", "endpoint-")
	if err != nil {
		return "", err
	}
	for name, content := range map[string]string{"cert.pem": e.Cert, "key.pem": e.Key, "ca.pem": e.CACert} {
		if err := os.WriteFile(folder+"/"+name, []byte(content), 0o600); err != nil {
			return "", err
		}
	}
	return folder, nil
}
