// Package userclienttest helps to test programs that use userclient.
package userclienttest

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/test/bufconn"

	userv1 "example.com/user-service/gen/user/v1"
	"example.com/user-service/userclient"
)

// NewClient returns a client of a fake of the service that runs in this process, without a port. A fake embeds
// userv1.UnimplementedUserServiceServer and has the methods that the test needs. Both are closed when the test ends.
func NewClient(t testing.TB, fake userv1.UserServiceServer, opts ...userclient.Option) *userclient.Client {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	userv1.RegisterUserServiceServer(server, fake)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)

	dial := func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }
	client, err := userclient.New("passthrough:///fake", append(opts, userclient.WithDialOptions(grpc.WithContextDialer(dial)))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}
