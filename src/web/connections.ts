import type { IncomingMessage, Server } from "node:http";
import type { Socket } from "node:net";

import { peerOf } from "./access/peer.ts";

export type ConnectionLimits = { readonly total: number; readonly perPeer: number };

type Connection = {
  readonly socket: Socket;
  readonly peer: string;
  /** The request in progress; undefined while the connection is idle. */
  request: IncomingMessage | undefined;
};

/**
 * Limits the connections per peer and in total. At the limit, a new connection closes the oldest idle one, so that idle
 * connections cannot block others. If none is idle, the oldest one that still sends its body is closed. The new
 * connection is refused only when all requests are being answered.
 */
export function limitConnections(server: Server, { total, perPeer }: ConnectionLimits): void {
  /** In the order in which they became idle. */
  const open = new Map<Socket, Connection>();
  const peers = new Map<string, Set<Connection>>();

  function add(connection: Connection): void {
    const { socket, peer } = connection;
    const siblings = peers.get(peer) ?? new Set();
    peers.set(peer, siblings.add(connection));
    open.set(socket, connection);
    socket.once("close", () => {
      open.delete(socket);
      siblings.delete(connection);
      if (siblings.size === 0 && peers.get(peer) === siblings) peers.delete(peer);
    });
  }

  /** Moves the connection to the end, because it has just become idle. */
  function idle(connection: Connection): void {
    connection.request = undefined;
    if (!open.delete(connection.socket)) return;
    open.set(connection.socket, connection);
    const siblings = peers.get(connection.peer);
    if (siblings?.delete(connection)) siblings.add(connection);
  }

  server.on("connection", (socket: Socket) => {
    const connection: Connection = { socket, peer: peerOf(socket.remoteAddress), request: undefined };
    const siblings = peers.get(connection.peer);
    const room =
      (!siblings || siblings.size < perPeer || closeOne(siblings)) &&
      (open.size < total || closeOne(open.values()));
    if (!room) return void socket.destroy();
    add(connection);
  });
  server.on("request", (request, response) => {
    const connection = open.get(request.socket);
    if (!connection) return;
    connection.request = request;
    response.once("close", () => idle(connection));
  });
}

function closeOne(connections: Iterable<Connection>): boolean {
  let sending: Connection | undefined;
  for (const connection of connections) {
    const { socket, request } = connection;
    if (socket.destroyed) continue;
    if (!request) return close(connection);
    if (!request.complete) sending ??= connection;
  }
  return sending !== undefined && close(sending);
}

function close({ socket }: Connection): true {
  socket.destroy();
  return true;
}
