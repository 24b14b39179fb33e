// Command tour calls every RPC of a live service, and prints what comes back, as examples/tour.txt has it.
//
//	TOKEN=... [ADDRESS=localhost:50051] go run .
//
// TOKEN is an admin's. The users that it creates are deleted again, also when a step fails.
package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/status"

	userv1 "example.com/user-service/gen/user/v1"
	"example.com/user-service/userclient"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	address := cmp.Or(os.Getenv("ADDRESS"), "localhost:50051")
	client, err := userclient.New(address, userclient.WithToken(os.Getenv("TOKEN")))
	if err != nil {
		return err
	}
	defer client.Close()

	t := &tour{Client: client, run: uuid.NewString(), labels: map[string]string{}}
	defer func() {
		// What went wrong before says more than what goes wrong here.
		if cleaning := t.cleanUp(ctx); err == nil {
			err = cleaning
		}
	}()
	for _, step := range []struct {
		rpc string
		do  func(context.Context) error
	}{
		{"CreateUser", t.createUser},
		{"GetUser", t.getUser},
		{"CreateUsers", t.createUsers},
		{"BatchGetUsers", t.batchGetUsers},
		{"ListUsers", t.listUsers},
		{"ListUsersPage", t.listUsersPage},
		{"UpdateUser", t.updateUser},
		{"UploadUserData", t.uploadUserData},
		{"Chat", t.chat},
		{"CollaborativeEdit", t.collaborativeEdit},
		{"WatchUsers", t.watchUsers},
		{"DeleteUser", t.deleteUser},
	} {
		fmt.Println(step.rpc)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.rpc, err)
		}
	}
	return nil
}

// tour has the steps, one for each RPC.
type tour struct {
	*userclient.Client
	// run tells this run's e-mail addresses and rooms from those of others.
	run string
	// ids are those of this run's users, in order of creation, and labels what they are printed as, so that every run prints
	// the same.
	ids    []string
	labels map[string]string
}

func (t *tour) email(name string) string { return name + "." + t.run + "@example.com" }

func (t *tour) first() string { return t.ids[0] }

func (t *tour) label(id string) string {
	if _, known := t.labels[id]; !known {
		t.ids = append(t.ids, id)
		t.labels[id] = fmt.Sprintf("user-%d", len(t.ids))
	}
	return t.labels[id]
}

func (t *tour) list(ids []string) string {
	labels := make([]string, len(ids))
	for i, id := range ids {
		labels[i] = t.label(id)
	}
	return strings.Join(labels, " ")
}

// ours lists those of the ids that are this run's: the service may have other users.
func (t *tour) ours(ids []string) string {
	var found []string
	for _, id := range ids {
		if _, known := t.labels[id]; known {
			found = append(found, id)
		}
	}
	return t.list(found)
}

func (t *tour) describe(user *userv1.User) string {
	name, _, _ := strings.Cut(user.GetEmail(), ".")
	contact := "no contact"
	if phone := user.GetPhone(); phone != "" {
		contact = "phone " + phone
	}
	tags := strings.Join(user.GetTags(), " ")
	return fmt.Sprintf("%s %s %q %s, %s, team %s, %s",
		t.label(user.GetId()), name, user.GetName(), user.GetRole(), tags, user.GetMetadata()["team"], contact)
}

// cleanUp deletes the users of this run.
func (t *tour) cleanUp(ctx context.Context) error {
	for len(t.ids) > 0 {
		if _, err := t.DeleteUser(ctx, &userv1.DeleteUserRequest{Id: t.first()}); err != nil {
			return err
		}
		delete(t.labels, t.first())
		t.ids = t.ids[1:]
	}
	return nil
}

func say(format string, args ...any) { fmt.Printf("  "+format+"\n", args...) }

// fails prints how a call failed, which it had to: its code, its reason, and the fields that are wrong.
func fails(what string, err error) error {
	if err == nil {
		return fmt.Errorf("%s: the call succeeded, and must not", what)
	}
	// The names that the specification of gRPC has; those of codes.Code are Go's.
	name := code.Code(status.Code(err)).String()
	words := append([]string{name, userclient.Reason(err)}, userclient.InvalidFields(err)...)
	say("%s: %s", what, strings.Join(words, " "))
	return nil
}
