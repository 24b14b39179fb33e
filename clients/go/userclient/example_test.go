package userclient_test

import (
	"context"
	"fmt"
	"log"
	"os"

	userv1 "example.com/user-service/gen/user/v1"
	"example.com/user-service/userclient"
)

func Example() {
	client, err := userclient.New("localhost:50051", userclient.WithToken(os.Getenv("TOKEN")))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ctx := context.Background()
	created, err := client.CreateUser(ctx, &userv1.CreateUserRequest{Email: "ada@example.com", Name: "Ada"})
	if err != nil {
		log.Fatalf("%v (%s)", err, userclient.Reason(err))
	}
	fmt.Println(created.GetUser().GetId())
	for user, err := range client.All(ctx, 100) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(user.GetName())
	}
}
