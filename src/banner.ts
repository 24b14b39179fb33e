/** What a person who starts the service for a try needs to see: where it is, a token, and calls to paste. */
export function banner(port: number, token: string, storage: "memory" | "PostgreSQL"): string {
  const call = `grpcurl -plaintext -H "authorization: Bearer $TOKEN"`;
  const address = `localhost:${port}`;
  return `
user-service serves gRPC on ${address}, from ${storage}.

No JWT_SECRET is set, so a key was made for this run. This token makes you an admin for a day:

  export TOKEN=${token}

Paste next:

  grpcurl -plaintext ${address} list
  ${call} -d '{"email":"ada@example.com","name":"Ada"}' ${address} user.v1.UserService/CreateUsers
  ${call} -d '{"page_size":10}' ${address} user.v1.UserService/ListUsers
  ${call} -d '{"message":"hello"}' ${address} user.v1.UserService/Chat

`;
}
