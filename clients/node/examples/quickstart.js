// Creates a user, and lists all. Usage: TOKEN=... node examples/quickstart.js [ADDRESS]
import { createUserClient, reasonOf } from "user-service-client";

const [address = "localhost:50051"] = process.argv.slice(2);
const client = createUserClient(address, { token: process.env.TOKEN ?? "" });
try {
  const { user } = await client.createUser({ email: "ada@example.com", name: "Ada" });
  console.log("created", user?.id);
} catch (error) {
  console.log("failed:", error.message, reasonOf(error));
}
for await (const { id, name } of client.allUsers(100)) console.log(id, name);
client.close();
