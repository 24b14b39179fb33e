package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	userv1 "example.com/user-service/gen/user/v1"
)

func (t *tour) createUser(ctx context.Context) error {
	req := &userv1.CreateUserRequest{
		RequestId: uuid.NewString(),
		Email:     t.email("ada"),
		Name:      "Ada Lovelace",
		Tags:      []string{"mathematics"},
		Metadata:  map[string]string{"team": "engines"},
		Contact:   &userv1.CreateUserRequest_Phone{Phone: "+442079460000"},
	}
	created, err := t.CreateUser(ctx, req)
	if err != nil {
		return err
	}
	say("%s", t.describe(created.GetUser()))
	again, err := t.CreateUser(ctx, req)
	if err != nil {
		return err
	}
	say("the same request_id again: %s", t.label(again.GetUser().GetId()))
	return nil
}

func (t *tour) getUser(ctx context.Context) error {
	got, err := t.GetUser(ctx, &userv1.GetUserRequest{Id: t.first()})
	if err != nil {
		return err
	}
	say("%s", t.describe(got.GetUser()))
	_, nobody := t.GetUser(ctx, &userv1.GetUserRequest{Id: "nobody"})
	_, noID := t.GetUser(ctx, &userv1.GetUserRequest{})
	return errors.Join(fails("nobody", nobody), fails("no id", noID))
}

func (t *tour) createUsers(ctx context.Context) error {
	users := []*userv1.CreateUserRequest{
		{Name: "Grace Hopper", Email: t.email("user0")},
		{Name: "Alan Turing", Email: t.email("user1")},
		{Name: "Zoë Ωmega", Email: t.email("user2")},
	}
	created, err := t.CreateAll(ctx, users)
	if err != nil {
		return err
	}
	say("%d users: %s", created.GetCreatedCount(), t.list(created.GetUserIds()))
	_, taken := t.CreateAll(ctx, users)
	cut := t.createSome(metadata.AppendToOutgoingContext(ctx, "x-expected-count", "3"), users[:2])
	return errors.Join(fails("the same e-mail addresses again", taken), fails("2 users of 3", cut))
}

// createSome sends these users, whatever the context promises of their number.
func (t *tour) createSome(ctx context.Context, users []*userv1.CreateUserRequest) error {
	stream, err := t.CreateUsers(ctx)
	if err != nil {
		return err
	}
	for _, user := range users {
		if err := stream.Send(user); err != nil {
			break // CloseAndRecv says why.
		}
	}
	_, err = stream.CloseAndRecv()
	return err
}

func (t *tour) batchGetUsers(ctx context.Context) error {
	batch, err := t.BatchGetUsers(ctx, &userv1.BatchGetUsersRequest{Ids: append(slices.Clone(t.ids), "nobody")})
	if err != nil {
		return err
	}
	say("found %s, missing %s", t.list(idsOf(batch.GetUsers())), strings.Join(batch.GetMissingIds(), " "))
	return nil
}

func (t *tour) listUsers(ctx context.Context) error {
	var found []*userv1.User
	req := &userv1.ListUsersRequest{PageSize: 3}
	for {
		page, trailers, err := t.listOnce(ctx, req)
		if err != nil {
			return err
		}
		found = append(found, page...)
		next := trailers.Get("x-next-page-token")
		if len(next) == 0 {
			break
		}
		req.PageToken = next[0]
	}
	say("by pages: %s", t.ours(idsOf(found)))
	all, _, err := t.listOnce(ctx, &userv1.ListUsersRequest{StreamAll: true})
	if err != nil {
		return err
	}
	say("in one stream: %s", t.ours(idsOf(all)))
	return nil
}

// listOnce returns the users of one call, and its trailing metadata.
func (t *tour) listOnce(ctx context.Context, req *userv1.ListUsersRequest) ([]*userv1.User, metadata.MD, error) {
	stream, err := t.ListUsers(ctx, req)
	if err != nil {
		return nil, nil, err
	}
	var users []*userv1.User
	for {
		user, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return users, stream.Trailer(), nil
		}
		if err != nil {
			return nil, nil, err
		}
		users = append(users, user)
	}
}

func (t *tour) listUsersPage(ctx context.Context) error {
	var found []*userv1.User
	for user, err := range t.All(ctx, 3) {
		if err != nil {
			return err
		}
		found = append(found, user)
	}
	say("by pages: %s", t.ours(idsOf(found)))
	_, err := t.ListUsersPage(ctx, &userv1.ListUsersPageRequest{PageToken: "forged"})
	return fails("a forged token", err)
}

func (t *tour) updateUser(ctx context.Context) error {
	got, err := t.GetUser(ctx, &userv1.GetUserRequest{Id: t.first()})
	if err != nil {
		return err
	}
	etag := got.GetUser().GetEtag()
	change := &userv1.UpdateUserRequest{
		User:       &userv1.User{Id: t.first(), Etag: etag, Profile: &userv1.UserProfile{Bio: "Wrote the first program."}},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"profile.bio"}},
	}
	updated, err := t.UpdateUser(ctx, change)
	if err != nil {
		return err
	}
	which := "another"
	if updated.GetUser().GetEtag() == etag {
		which = "the same"
	}
	say("bio: %s; %s etag", updated.GetUser().GetProfile().GetBio(), which)
	_, err = t.UpdateUser(ctx, change)
	return fails("the etag of before", err)
}

func (t *tour) deleteUser(ctx context.Context) error {
	first, count := t.first(), len(t.ids)
	if err := t.cleanUp(ctx); err != nil {
		return err
	}
	say("%d users", count)
	_, err := t.DeleteUser(ctx, &userv1.DeleteUserRequest{Id: first})
	return fails("again", err)
}

func idsOf(users []*userv1.User) []string {
	ids := make([]string, len(users))
	for i, user := range users {
		ids[i] = user.GetId()
	}
	return ids
}
