import { create } from "@bufbuild/protobuf";
import { type handleUnaryCall, status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { toServiceConfig } from "../../src/client/service-config.ts";
import { type GetUserResponse, GetUserResponseSchema, UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { startBareServer } from "../support/bare-server.ts";
import { publishedClient } from "../support/client.ts";

/** A server that counts its calls, which may all fail. */
async function startCounting(code?: status) {
  const counted = { calls: 0 };
  const getUser: handleUnaryCall<unknown, GetUserResponse> = (_call, callback) => {
    counted.calls++;
    if (code === undefined) callback(null, create(GetUserResponseSchema));
    else callback({ code, details: "never" });
  };
  const { address } = await startBareServer(UserService, { getUser });
  return { address, counted };
}

/** The client's service config, which looks for addresses that fail every 100 ms, after a few calls. */
function quickConfig(): string {
  const { loadBalancingConfig, ...rest } = toServiceConfig([UserService]);
  const detection = { failure_percentage_ejection: {}, ...loadBalancingConfig[0]?.outlier_detection };
  const quick = {
    ...detection,
    interval: { seconds: 0, nanos: 100_000_000 },
    failure_percentage_ejection: { ...detection.failure_percentage_ejection, request_volume: 3 },
  };
  return JSON.stringify({ ...rest, loadBalancingConfig: [{ outlier_detection: quick }] });
}

describe("the addresses of a name", () => {
  it("are called in turn", async () => {
    const servers = [await startCounting(), await startCounting(), await startCounting()];
    const client = publishedClient({ address: `ipv4:${servers.map(({ address }) => address).join(",")}` });
    // The first calls go to whichever is connected.
    while (servers.some(({ counted }) => counted.calls === 0)) await client.getUser({ id: "ada" });
    const before = servers.map(({ counted }) => counted.calls);
    for (let call = 0; call < 30; call++) await client.getUser({ id: "ada" });
    expect(servers.map(({ counted }, n) => counted.calls - (before[n] ?? 0))).toEqual([10, 10, 10]);
  });

  it("are left out while all fails there that succeeds elsewhere", async () => {
    const servers = [await startCounting(), await startCounting(status.INTERNAL)] as const;
    const [good, bad] = servers;
    const client = publishedClient(
      { address: `ipv4:${good.address},${bad.address}` },
      { channelOptions: { "grpc.service_config": quickConfig() } },
    );
    const call = () => client.getUser({ id: "ada" }).catch(() => {});
    // Two intervals may pass before one of them has seen enough calls.
    const missesBad = async () => {
      const before = bad.counted.calls;
      for (let n = 0; n < 10; n++) await call();
      return bad.counted.calls === before;
    };
    while (bad.counted.calls === 0 || !(await missesBad())) await call();
    expect(bad.counted.calls).toBeGreaterThan(0);
  });
});
