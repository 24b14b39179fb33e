// Package userclient calls user.v1.UserService as its contract means it to be called: with its deadlines, with retries where
// they are safe, and with a token.
//
// Messages and methods are those of the generated package userv1; a Client has all twelve methods, and a few more that do
// what nearly every caller needs.
package userclient

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	userv1 "example.com/user-service/gen/user/v1"
)

const (
	keepaliveTime    = 30 * time.Second
	keepaliveTimeout = 10 * time.Second
)

// Client is a connection to the service. It may be used by many goroutines at once.
type Client struct {
	userv1.UserServiceClient
	conn *grpc.ClientConn
}

// TokenSource returns the bearer token of a call. It is asked for every call, so it should cache.
type TokenSource func(ctx context.Context) (string, error)

// Option changes how a Client reaches the service.
type Option func(*options)

type options struct {
	tokens      TokenSource
	credentials credentials.TransportCredentials
	dial        []grpc.DialOption
}

// WithToken sends the same bearer token with every call.
func WithToken(token string) Option {
	return WithTokenSource(func(context.Context) (string, error) { return token, nil })
}

// WithTokenSource sends a bearer token that is asked for at every call.
func WithTokenSource(tokens TokenSource) Option {
	return func(o *options) { o.tokens = tokens }
}

// WithTransportCredentials secures the connection, which by default is in plain text.
func WithTransportCredentials(creds credentials.TransportCredentials) Option {
	return func(o *options) { o.credentials = creds }
}

// WithDialOptions adds options of gRPC's own, after those of the client, which they may override.
func WithDialOptions(dial ...grpc.DialOption) Option {
	return func(o *options) { o.dial = append(o.dial, dial...) }
}

// New returns a client of the service at a target as gRPC writes it, such as "localhost:50051" or
// "dns:///users.example.com:443". It connects when it is first used. Close it when it is no longer needed.
func New(target string, opts ...Option) (*Client, error) {
	o := options{credentials: insecure.NewCredentials()}
	for _, opt := range opts {
		opt(&o)
	}
	dial := []grpc.DialOption{
		grpc.WithTransportCredentials(o.credentials),
		// The contract decides, not a record of the name service.
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDisableServiceConfig(),
		// Finds connections out that are broken without a word, while there are calls on them.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: keepaliveTimeout}),
		grpc.WithChainUnaryInterceptor(unaryDeadline, unaryRequestID),
		grpc.WithChainStreamInterceptor(streamDeadline, streamRequestIDs),
	}
	if o.tokens != nil {
		secure := o.credentials.Info().SecurityProtocol != "insecure"
		dial = append(dial, grpc.WithPerRPCCredentials(bearer{o.tokens, secure}))
	}
	conn, err := grpc.NewClient(target, append(dial, o.dial...)...)
	if err != nil {
		return nil, fmt.Errorf("userclient: %w", err)
	}
	return &Client{userv1.NewUserServiceClient(conn), conn}, nil
}

// Close ends the connection. Calls that are open fail with codes.Canceled.
func (c *Client) Close() error { return c.conn.Close() }

// Reason returns the reason of an error of the service, such as "USER_NOT_FOUND", which is stable; "" if err has none.
func Reason(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

// InvalidFields returns the paths of the fields that were wrong, as the service names them; none if err has another reason.
func InvalidFields(err error) []string {
	var fields []string
	for _, detail := range status.Convert(err).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, violation := range bad.GetFieldViolations() {
				fields = append(fields, violation.GetField())
			}
		}
	}
	return fields
}

// bearer sends a token of its source with each call.
type bearer struct {
	tokens TokenSource
	secure bool
}

func (b bearer) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token, err := b.tokens(ctx)
	if err != nil {
		return nil, err
	}
	return map[string]string{"authorization": "Bearer " + token}, nil
}

// RequireTransportSecurity keeps tokens off connections in plain text, where the client was given others.
func (b bearer) RequireTransportSecurity() bool { return b.secure }
