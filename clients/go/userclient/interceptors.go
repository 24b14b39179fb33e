package userclient

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	userv1 "example.com/user-service/gen/user/v1"
)

// withDefaultDeadline gives a call that has no deadline the one that the contract states for its method, if it states one.
func withDefaultDeadline(ctx context.Context, method string) (context.Context, context.CancelFunc) {
	timeout, stated := defaultTimeouts[method]
	if _, has := ctx.Deadline(); has || !stated {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, timeout)
}

func unaryDeadline(
	ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	ctx, cancel := withDefaultDeadline(ctx, method)
	defer cancel()
	return invoke(ctx, method, req, reply, conn, opts...)
}

func streamDeadline(
	ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	ctx, cancel := withDefaultDeadline(ctx, method)
	stream, err := open(ctx, desc, conn, method, append(opts, grpc.OnFinish(func(error) { cancel() }))...)
	if err != nil {
		cancel()
	}
	return stream, err
}

// withRequestID makes a creation safe to send again, which is why it may be retried. The caller's message is left as it is.
func withRequestID(req any) any {
	creation, ok := req.(*userv1.CreateUserRequest)
	if !ok || creation.GetRequestId() != "" {
		return req
	}
	copied := proto.CloneOf(creation)
	copied.RequestId = uuid.NewString()
	return copied
}

func unaryRequestID(
	ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	return invoke(ctx, method, withRequestID(req), reply, conn, opts...)
}

func streamRequestIDs(
	ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	stream, err := open(ctx, desc, conn, method, opts...)
	if err != nil {
		return nil, err
	}
	return identified{stream}, nil
}

// identified is a stream whose creations have request ids.
type identified struct{ grpc.ClientStream }

func (s identified) SendMsg(m any) error { return s.ClientStream.SendMsg(withRequestID(m)) }
