package userclient

import (
	"context"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	userv1 "example.com/user-service/gen/user/v1"
)

// CreateAll creates all users, or none. It tells the service how many there are, so that a stream that is cut on its way, by
// whatever network, creates nobody and fails with codes.DataLoss.
func (c *Client) CreateAll(ctx context.Context, users []*userv1.CreateUserRequest) (*userv1.CreateUsersResponse, error) {
	// Cancelled on every way out, so that a stream that is given up creates nobody.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.CreateUsers(metadata.AppendToOutgoingContext(ctx, expectedCount, strconv.Itoa(len(users))))
	if err != nil {
		return nil, err
	}
	for _, user := range users {
		if err := stream.Send(user); errors.Is(err, io.EOF) {
			break // The service has ended the call: CloseAndRecv says why.
		} else if err != nil {
			return nil, err
		}
	}
	return stream.CloseAndRecv()
}

// All returns all users, oldest first, in pages of pageSize (0: as many as the service likes). Users who are created or deleted
// meanwhile make no other appear twice or not at all. After an error it ends.
func (c *Client) All(ctx context.Context, pageSize int32) iter.Seq2[*userv1.User, error] {
	return func(yield func(*userv1.User, error) bool) {
		req := &userv1.ListUsersPageRequest{PageSize: pageSize}
		for {
			page, err := c.ListUsersPage(ctx, req)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, user := range page.GetUsers() {
				if !yield(user, nil) {
					return
				}
			}
			if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
				return
			}
		}
	}
}

// The reason of a call that its token did not outlast; a call with a token that has expired already fails with another one.
const tokenExpired = "TOKEN_EXPIRED"

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
)

// Watch returns what happens to users, and goes on by itself, on any replica, where a call broke off with codes.Unavailable, or
// because its token expired: nothing is missed, and what came last may come again, with the same revision. It ends with any
// other error, that of ctx included, or when the loop is left.
func (c *Client) Watch(ctx context.Context, req *userv1.WatchUsersRequest) iter.Seq2[*userv1.WatchUsersResponse, error] {
	return func(yield func(*userv1.WatchUsersResponse, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		req := proto.CloneOf(req)
		pause := firstPause
		for {
			err := c.watchOnce(ctx, req, func(event *userv1.WatchUsersResponse) bool {
				pause = firstPause
				return yield(event, nil)
			})
			if err == nil {
				return
			}
			if status.Code(err) != codes.Unavailable && Reason(err) != tokenExpired {
				yield(nil, err)
				return
			}
			// Up to twice the pause, so that watchers who were cut off together do not come back together.
			select {
			case <-time.After(pause + rand.N(pause)):
			case <-ctx.Done():
				yield(nil, status.FromContextError(ctx.Err()).Err())
				return
			}
			pause = min(2*pause, longestPause)
		}
	}
}

// watchOnce hands on the events of one call, and keeps in req where they got to. It returns nil if it was told to stop.
func (c *Client) watchOnce(
	ctx context.Context, req *userv1.WatchUsersRequest, yield func(*userv1.WatchUsersResponse) bool,
) error {
	stream, err := c.WatchUsers(ctx, req)
	if err != nil {
		return err
	}
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return status.Error(codes.Unavailable, "the service ended the watch")
		}
		if err != nil {
			return err
		}
		req.ResumeToken = event.GetResumeToken()
		if !yield(event) {
			return nil
		}
	}
}
