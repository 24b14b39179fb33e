/** What a person who starts the service for a try has to know. */
export interface BannerFacts {
  readonly port: number;
  /** The port of the gateway; undefined if there is none. */
  readonly httpPort: number | undefined;
  readonly token: string;
  readonly storage: "memory" | "PostgreSQL";
  /** Whether connections are secured, and whether by certificates on both sides. */
  readonly tls: "off" | "server" | "mutual";
}

const SECURITY = {
  off: { grpcurl: "-plaintext", curl: "", scheme: "http" },
  server: { grpcurl: "-cacert ca.pem", curl: " --cacert ca.pem", scheme: "https" },
  mutual: {
    grpcurl: "-cacert ca.pem -cert client.pem -key client-key.pem",
    curl: " --cacert ca.pem --cert client.pem --key client-key.pem",
    scheme: "https",
  },
} as const;

/** What a person who starts the service for a try needs to see: where it is, a token, and calls to paste. */
export function banner({ port, httpPort, token, storage, tls }: BannerFacts): string {
  const { curl, scheme, ...security } = SECURITY[tls];
  const grpcurl = `grpcurl ${security.grpcurl}`;
  const header = `-H "authorization: Bearer $TOKEN"`;
  const call = `${grpcurl} ${header}`;
  const address = `localhost:${port}`;
  const overHttp =
    httpPort === undefined
      ? ""
      : `  curl${curl} ${header} --json '{"pageSize":10}' ${scheme}://localhost:${httpPort}/user.v1.UserService/ListUsersPage\n`;
  const files = tls === "off" ? "" : " (ca.pem: who signed the service's certificate)";
  return `
user-service serves gRPC on ${address}, from ${storage}.

No JWT_SECRET is set, so a key was made for this run. This token makes you an admin for a day:

  export TOKEN=${token}

Paste next${files}:

  ${grpcurl} ${address} list
  ${call} -d '{"email":"ada@example.com","name":"Ada"}' ${address} user.v1.UserService/CreateUsers
  ${call} -d '{"page_size":10}' ${address} user.v1.UserService/ListUsers
  ${call} -d '{"message":"hello"}' ${address} user.v1.UserService/Chat
${overHttp}
`;
}
