/**
 * Whether what is sent to a gRPC target stays on this machine: to a loopback address, to `localhost`, or to a Unix
 * socket. Targets are names as grpc-js takes them, such as `localhost:50051`, `dns:///users:50051` or
 * `ipv4:127.0.0.1:1,127.0.0.1:2`.
 */
export function staysLocal(target: string): boolean {
  if (/^unix(-abstract)?:/i.test(target)) return true;
  const addresses = target.replace(/^(dns:(\/\/[^/]*\/)?|ipv[46]:)/i, "");
  return addresses.split(",").every((address) => LOOPBACK.test(address.trim()));
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])(:\d+)?$/i;
