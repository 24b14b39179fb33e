package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	userv1 "example.com/user-service/gen/user/v1"
)

func (t *tour) uploadUserData(ctx context.Context) error {
	emails := []string{t.email("edsger"), t.email("barbara")}
	rows := []string{"email,name", emails[0] + ",Imported", emails[1] + ",Imported", "nobody,Nobody", ""}
	file := []byte(strings.Join(rows, "\n"))
	sum := sha256.Sum256(file)
	header := &userv1.UploadHeader{
		UploadId:  uuid.NewString(),
		Format:    userv1.UploadFormat_UPLOAD_FORMAT_CSV,
		SizeBytes: int64(len(file)),
		Sha256:    sum[:],
	}
	_, damaged := t.upload(ctx, header, file[1:])
	if err := fails("a file that lacks a byte", damaged); err != nil {
		return err
	}
	report, err := t.upload(ctx, header, file)
	if err != nil {
		return err
	}
	users, _, err := t.listOnce(ctx, &userv1.ListUsersRequest{StreamAll: true})
	if err != nil {
		return err
	}
	for _, user := range users {
		if slices.Contains(emails, user.GetEmail()) {
			t.label(user.GetId())
		}
	}
	say("%d rows: %d created, %d failed", report.GetRowCount(), report.GetCreatedCount(), report.GetFailedCount())
	for _, failure := range report.GetFailures() {
		say("line %d: %s %s", failure.GetLine(), failure.GetField(), failure.GetReason())
	}
	again, err := t.upload(ctx, header, file)
	if err != nil {
		return err
	}
	say("the same upload_id again: %d created", again.GetCreatedCount())
	return nil
}

func (t *tour) upload(ctx context.Context, header *userv1.UploadHeader, data []byte) (*userv1.UploadUserDataResponse, error) {
	stream, err := t.UploadUserData(ctx)
	if err != nil {
		return nil, err
	}
	for _, req := range []*userv1.UploadUserDataRequest{
		{Part: &userv1.UploadUserDataRequest_Header{Header: header}},
		{Part: &userv1.UploadUserDataRequest_Chunk{Chunk: &userv1.UploadChunk{Data: data}}},
	} {
		if err := stream.Send(req); err != nil {
			break // CloseAndRecv says why.
		}
	}
	return stream.CloseAndRecv()
}

func (t *tour) chat(ctx context.Context) error {
	epoch := &timestamppb.Timestamp{}
	talk := []*userv1.ChatMessage{
		{Message: "hello", Timestamp: epoch},
		{Message: "goodbye", Timestamp: epoch},
	}
	err := t.converse(ctx, talk, func(answer *userv1.ChatMessage) {
		copied := "another"
		if proto.Equal(answer.GetTimestamp(), epoch) {
			copied = "copied"
		}
		say("%s: %s, timestamp %s", answer.GetUserId(), answer.GetMessage(), copied)
	})
	if err != nil {
		return err
	}
	room := "tour " + t.run
	messages := []*userv1.ChatMessage{
		{Room: room, Type: userv1.ChatMessageType_CHAT_MESSAGE_TYPE_JOIN},
		{Room: room, Message: "is anybody here?"},
		{Room: room, Message: "only me"},
	}
	return t.converse(ctx, messages, func(event *userv1.ChatMessage) {
		switch event.GetType() {
		case userv1.ChatMessageType_CHAT_MESSAGE_TYPE_JOINED:
			say("joined the room")
		case userv1.ChatMessageType_CHAT_MESSAGE_TYPE_TEXT:
			say("#%d: %s", event.GetSequence(), event.GetMessage())
		}
	})
}

// converse says the messages, and hands on what it hears until the conversation has ended. That is few enough messages to
// say them all before listening.
func (t *tour) converse(ctx context.Context, messages []*userv1.ChatMessage, hear func(*userv1.ChatMessage)) error {
	stream, err := t.Chat(ctx)
	if err != nil {
		return err
	}
	for _, message := range messages {
		if err := stream.Send(message); err != nil {
			break // Recv says why.
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		hear(message)
	}
}

func (t *tour) collaborativeEdit(ctx context.Context) error {
	// Cancelled on every way out, so that a call that is given up ends.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := t.CollaborativeEdit(ctx)
	if err != nil {
		return err
	}
	open := &userv1.OpenDocument{UserId: t.first()}
	err = stream.Send(&userv1.CollaborativeEditRequest{Request: &userv1.CollaborativeEditRequest_Open{Open: open}})
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	var base int64
	for {
		res, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		switch event := res.GetEvent().(type) {
		case *userv1.CollaborativeEditResponse_Snapshot:
			base = event.Snapshot.GetRevision()
			say("snapshot: %s", event.Snapshot.GetText())
			if err := insert(stream, base, "✍️ "); err != nil {
				return err
			}
		case *userv1.CollaborativeEditResponse_Operation:
			say("operation: %d revision later", event.Operation.GetRevision()-base)
		}
	}
	got, err := t.GetUser(ctx, &userv1.GetUserRequest{Id: t.first()})
	if err != nil {
		return err
	}
	say("bio: %s", got.GetUser().GetProfile().GetBio())
	return nil
}

// insert puts a text at the beginning, and says no more.
func insert(stream userv1.UserService_CollaborativeEditClient, base int64, text string) error {
	operation := &userv1.EditOperation{
		OperationId:  uuid.NewString(),
		BaseRevision: base,
		Steps:        []*userv1.EditStep{{Step: &userv1.EditStep_Insert{Insert: text}}},
	}
	req := &userv1.CollaborativeEditRequest{Request: &userv1.CollaborativeEditRequest_Operation{Operation: operation}}
	if err := stream.Send(req); err != nil {
		return err
	}
	return stream.CloseSend()
}

func (t *tour) watchUsers(ctx context.Context) error {
	var id, resumeToken string
	for event, err := range t.Watch(ctx, &userv1.WatchUsersRequest{}) {
		if err != nil {
			return err
		}
		resumeToken = event.GetResumeToken()
		// The first event: whatever happens from now on, comes.
		if event.GetType() == userv1.WatchEventType_WATCH_EVENT_TYPE_HEARTBEAT && id == "" {
			created, err := t.CreateUser(ctx, &userv1.CreateUserRequest{Email: t.email("watched"), Name: "Watched"})
			if err != nil {
				return err
			}
			id = created.GetUser().GetId()
			t.label(id)
		}
		if event.GetType() == userv1.WatchEventType_WATCH_EVENT_TYPE_CREATED && event.GetUserId() == id {
			break
		}
	}
	say("created: %s", t.label(id))
	renamed := &userv1.UpdateUserRequest{User: &userv1.User{Id: id, Name: "Renamed"}}
	if _, err := t.UpdateUser(ctx, renamed); err != nil {
		return err
	}
	for event, err := range t.Watch(ctx, &userv1.WatchUsersRequest{ResumeToken: resumeToken}) {
		if err != nil {
			return err
		}
		if event.GetType() == userv1.WatchEventType_WATCH_EVENT_TYPE_UPDATED && event.GetUserId() == id {
			say("resumed, updated: %s %s", t.label(id), event.GetUser().GetName())
			break
		}
	}
	return nil
}
