package userclient_test

import (
	"context"
	"io"
	"slices"
	"strconv"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	userv1 "example.com/user-service/gen/user/v1"
	"example.com/user-service/userclient"
	"example.com/user-service/userclient/userclienttest"
)

var errUnavailable = status.Error(codes.Unavailable, "restarting")

// fake fails as many calls as it is told to, and then answers with what the call looked like.
type fake struct {
	userv1.UnimplementedUserServiceServer
	failures   int
	requestIDs []string
	attempts   int
	resumed    []string
}

func (f *fake) fail() error {
	f.attempts++
	if f.failures == 0 {
		return nil
	}
	f.failures--
	return errUnavailable
}

func (f *fake) GetUser(ctx context.Context, req *userv1.GetUserRequest) (*userv1.GetUserResponse, error) {
	if err := f.fail(); err != nil {
		return nil, err
	}
	md, _ := metadata.FromIncomingContext(ctx)
	user := &userv1.User{Id: req.GetId(), Metadata: map[string]string{"token": md.Get("authorization")[0]}}
	if deadline, ok := ctx.Deadline(); ok {
		user.Metadata["timeout"] = strconv.Itoa(int(time.Until(deadline).Round(time.Second).Seconds()))
	}
	return &userv1.GetUserResponse{User: user}, nil
}

func (f *fake) CreateUser(_ context.Context, req *userv1.CreateUserRequest) (*userv1.CreateUserResponse, error) {
	f.requestIDs = append(f.requestIDs, req.GetRequestId())
	return &userv1.CreateUserResponse{}, f.fail()
}

func (f *fake) UpdateUser(context.Context, *userv1.UpdateUserRequest) (*userv1.UpdateUserResponse, error) {
	return &userv1.UpdateUserResponse{}, f.fail()
}

func (f *fake) CreateUsers(stream grpc.ClientStreamingServer[userv1.CreateUserRequest, userv1.CreateUsersResponse]) error {
	md, _ := metadata.FromIncomingContext(stream.Context())
	count, _ := strconv.Atoi(md.Get("x-expected-count")[0])
	for {
		req, err := stream.Recv()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		f.requestIDs = append(f.requestIDs, req.GetRequestId())
	}
	return stream.SendAndClose(&userv1.CreateUsersResponse{CreatedCount: int32(count)})
}

func (f *fake) ListUsersPage(_ context.Context, req *userv1.ListUsersPageRequest) (*userv1.ListUsersPageResponse, error) {
	page := map[string]*userv1.ListUsersPageResponse{
		"":       {Users: []*userv1.User{{Id: "1"}, {Id: "2"}}, NextPageToken: "second"},
		"second": {Users: []*userv1.User{{Id: "3"}}},
	}[req.GetPageToken()]
	return page, nil
}

func (f *fake) WatchUsers(req *userv1.WatchUsersRequest, stream grpc.ServerStreamingServer[userv1.WatchUsersResponse]) error {
	f.resumed = append(f.resumed, req.GetResumeToken())
	revision := int64(len(f.resumed))
	event := &userv1.WatchUsersResponse{Revision: revision, ResumeToken: strconv.Itoa(int(revision))}
	if err := stream.Send(event); err != nil {
		return err
	}
	if revision == 2 {
		expired := status.New(codes.Unauthenticated, "call again with a new token")
		expired, _ = expired.WithDetails(&errdetails.ErrorInfo{Reason: "TOKEN_EXPIRED"})
		return expired.Err()
	}
	return errUnavailable
}

func TestSendsTokenAndDefaultDeadline(t *testing.T) {
	client := userclienttest.NewClient(t, &fake{}, userclient.WithToken("secret"))
	got, err := client.GetUser(t.Context(), &userv1.GetUserRequest{Id: "1"})
	if err != nil {
		t.Fatal(err)
	}
	if m := got.GetUser().GetMetadata(); m["token"] != "Bearer secret" || m["timeout"] != "5" {
		t.Errorf("the call looked like %v", m)
	}
}

func TestKeepsDeadlineOfCaller(t *testing.T) {
	client := userclienttest.NewClient(t, &fake{}, userclient.WithToken("secret"))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got, err := client.GetUser(ctx, &userv1.GetUserRequest{Id: "1"})
	if err != nil || got.GetUser().GetMetadata()["timeout"] != "20" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestRetriesCreationWithOneRequestID(t *testing.T) {
	f := &fake{failures: 2}
	client := userclienttest.NewClient(t, f)
	req := &userv1.CreateUserRequest{Email: "ada@example.com"}
	if _, err := client.CreateUser(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if len(slices.Compact(slices.Clone(f.requestIDs))) != 1 || len(f.requestIDs) != 3 || f.requestIDs[0] == "" {
		t.Errorf("request ids: %q", f.requestIDs)
	}
	if req.GetRequestId() != "" {
		t.Error("the message of the caller was changed")
	}
}

func TestNeverRetriesChange(t *testing.T) {
	f := &fake{failures: 1}
	client := userclienttest.NewClient(t, f)
	_, err := client.UpdateUser(t.Context(), &userv1.UpdateUserRequest{})
	if status.Code(err) != codes.Unavailable || f.attempts != 1 {
		t.Errorf("%d attempts, %v", f.attempts, err)
	}
}

func TestCreatesAllWithTheirCount(t *testing.T) {
	f := &fake{}
	client := userclienttest.NewClient(t, f)
	res, err := client.CreateAll(t.Context(), []*userv1.CreateUserRequest{{Email: "a@b"}, {Email: "c@d", RequestId: "mine"}})
	if err != nil || res.GetCreatedCount() != 2 {
		t.Fatalf("got %v, %v", res, err)
	}
	if f.requestIDs[0] == "" || f.requestIDs[1] != "mine" {
		t.Errorf("request ids: %q", f.requestIDs)
	}
}

func TestListsAllPages(t *testing.T) {
	client := userclienttest.NewClient(t, &fake{})
	var ids []string
	for user, err := range client.All(t.Context(), 2) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, user.GetId())
	}
	if !slices.Equal(ids, []string{"1", "2", "3"}) {
		t.Errorf("got %q", ids)
	}
}

func TestResumesWatch(t *testing.T) {
	f := &fake{}
	client := userclienttest.NewClient(t, f)
	var revisions []int64
	for event, err := range client.Watch(t.Context(), &userv1.WatchUsersRequest{}) {
		if err != nil {
			t.Fatal(err)
		}
		if revisions = append(revisions, event.GetRevision()); len(revisions) == 3 {
			break
		}
	}
	if !slices.Equal(f.resumed, []string{"", "1", "2"}) {
		t.Errorf("resumed with %q", f.resumed)
	}
}
