// The official Socket.IO server in the role of the vendor's gateway, led by a test.
//
// It reads one JSON command a line from standard input and says what happens, one JSON object a
// line, on standard output. `begin` starts a server and `end` takes it away with all its connections;
// another may follow, for to start Node.js takes longer than most tests. Options of `begin`: `refuse`
// ({how: "event", "middleware", "before-connect", "counting" or "disconnect", error, text, name, close, before}),
// `refuseUpgrade` (an HTTP status), `answer` ({headers, body} of that refusal), `tokens` (mint user
// tokens as well), `mint` ({status, headers, body} of the first answer to that), `pingInterval`, `pingTimeout`, `deflate`, `port`, `newestWins` (one connection at
// a time), `onConnection` (a command for each new connection), `version` (of the server, where it is
// not the newest), `parser` ("msgpack"), `recovery` (options of connection state recovery, off
// without), `redis` (a URL: the adapter for Redis streams).
import { createServer } from "node:http";
import { createInterface } from "node:readline";

const PARTNER = "/v1/ws/prediction-markets/positions";
const CUSTOMER = "/v1/ws/prediction-markets/customer-positions";

async function begin(options) {
  let over = false;
  const say = (what) => over || process.stdout.write(JSON.stringify(what) + "\n");
  const old = options.version === 2;
  // Only what is asked for: a test's time is mostly that of imports.
  const { Server, default: serverOfVersion2 } = await import(
    options.version ? `socket.io-${options.version}` : "socket.io"
  );

  const http = createServer((request, response) => {
    if (!options.tokens || request.method !== "POST") return response.writeHead(404).end();
    if (options.mint) {
      const { status, headers = {}, body = "" } = options.mint;
      options.mint = null; // the next one is minted
      return response.writeHead(status, headers).end(body);
    }
    const expires_at = new Date(Date.now() + 3600_000).toISOString();
    response.writeHead(201, { "Content-Type": "application/json" });
    response.end(JSON.stringify({ token: "e30.e30.c2ln", expires_at }));
  });
  const open = new Set();
  http.on("connection", (socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
  });
  let adapter;
  if (options.redis) {
    const { createClient } = await import("redis");
    const { createAdapter } = await import("@socket.io/redis-streams-adapter");
    const client = createClient({ url: options.redis });
    await client.connect();
    adapter = createAdapter(client);
  }
  const serving = {
    ...(adapter ? { adapter } : {}),
    ...(options.recovery ? { connectionStateRecovery: options.recovery } : {}),
    pingInterval: options.pingInterval ?? 25000,
    pingTimeout: options.pingTimeout ?? 20000,
    perMessageDeflate: options.deflate ?? false,
    ...(options.parser === "msgpack" ? { parser: await import("socket.io-msgpack-parser") } : {}),
  };
  const io = old ? serverOfVersion2(http, serving) : new Server(http, serving);
  let refusal = options.refuse ?? null; // {how, error}
  let refused = 0;

  let connections = 0; // ever, recovered ones too

  function position(seq, extra) {
    return {
      id: `evt_${seq}`,
      type: "position.opened",
      created_at: new Date(Date.UTC(2026, 6, 1) + seq).toISOString(),
      data: { id: `dm_pos_${seq % 97}`, status: "open", seq, ...extra },
    };
  }

  for (const name of [PARTNER, CUSTOMER]) {
    const namespace = io.of(name);
    namespace.use((socket, next) => {
      if (refusal?.how === "before-connect") {
        socket.emit(refusal.name ?? "error", refusal.error);
        if (refusal.close) return socket.conn.close();
      } else if (refusal?.how !== "middleware") {
        return next();
      }
      const error = new Error(refusal.text ?? refusal.error?.message ?? "");
      error.data = refusal.error;
      next(error);
    });
    namespace.on("connection", (socket) => {
      connections += 1;
      say({
        on: "connection",
        namespace: name,
        auth: socket.handshake.auth,
        authorization: socket.handshake.headers.authorization ?? null,
        transport: socket.conn.transport.name,
        ...(options.deflate ? { extensions: socket.conn.transport.socket.extensions } : {}),
        ...(options.recovery ? { recovered: socket.recovered } : {}),
      });
      if (options.newestWins) {
        for (const other of namespace.sockets.values()) if (other !== socket) other.disconnect(true);
      }
      socket.on("disconnect", (reason) => say({ on: "disconnect", reason }));
      if (refusal?.how === "counting") {
        refused += 1;
        socket.emit("error", { message: `Not now. Request ${refused}, id ${refused * 7919}-abc` });
        socket.disconnect(true);
      } else if (refusal?.how === "event") {
        const name = refusal.name ?? "error";
        if (refusal.before) socket.emit("position.opened", position(0));
        if (refusal.error === undefined) socket.emit(name);
        else socket.emit(name, refusal.error);
        socket.disconnect(refusal.close ?? false);
      } else if (refusal?.how === "disconnect") {
        socket.disconnect(true);
      }
      if (options.onConnection) perform(options.onConnection);
    });
  }

  function sockets() {
    return [PARTNER, CUSTOMER].flatMap((name) => [...io.of(name).sockets.values()]);
  }

  function perform(command) {
    if (command.do === "cut-and-broadcast") {
      for (const socket of sockets()) socket.conn.transport.socket._socket.destroy();
    }
    if (command.do === "broadcast" || command.do === "cut-and-broadcast") {
      // To the clients that are there: what a gateway emits without one, it keeps for a recovery.
      for (let seq = command.from; seq < command.from + command.count; seq++) {
        io.of(PARTNER).emit("position.opened", position(seq, { filler: "x".repeat(command.filler) }));
      }
    }
    for (const socket of sockets()) {
      switch (command.do) {
        case "emit":
          (command.volatile ? socket.volatile : socket).emit(
            command.name, ...command.args, ...(command.asks ? [() => {}] : []),
          );
          break;
        case "errors":
          for (let n = 0; n < command.count; n++) {
            socket.emit("error", { message: `Request req-${n}-${n * 7919} failed` });
          }
          break;
        case "binary":
          socket.emit(command.name, { raw: Buffer.from(command.hex, "hex") }, 1);
          break;
        case "raw":
          socket.conn.write(command.text);
          break;
        case "burst":
          for (let seq = 0; seq < command.count; seq++) {
            socket.emit("position.opened", position(seq, { filler: "x".repeat(command.filler) }));
          }
          break;
        case "ack":
          socket.timeout(command.timeout).emit("position.opened", position(1), (error) => {
            say({ on: "ack", acknowledged: error === null });
          });
          break;
        case "disconnect":
          socket.disconnect(false);
          break;
        case "close":
          socket.disconnect(true);
          break;
        case "engine-close":
          socket.conn.close();
          break;
        case "cut":
          socket.conn.transport.socket._socket.destroy();
          break;
        case "half-open":
          // The client is told that it is over; the server does not see it go.
          socket.conn.transport.socket.send("1");
          socket.conn.transport.socket._socket.pause();
          break;
        case "freeze":
          // No ping, no answer, and yet an open connection.
          socket.conn.transport.socket._socket.pause();
          socket.conn.transport.send = () => {};
          break;
      }
    }
    if (command.do === "refuse") refusal = command.refusal;
    if (command.do === "welcome") options.refuseUpgrade = null;
    say({ on: "done", do: command.do, connections });
  }

  if (options.refuseUpgrade) {
    // As a proxy does, or a server that looks at the header before it speaks Socket.IO.
    const upgrade = http.listeners("upgrade");
    http.removeAllListeners("upgrade");
    http.on("upgrade", (request, socket, head) => {
      if (options.refuseUpgrade === null) {
        for (const listener of upgrade) listener.call(http, request, socket, head);
      } else {
        const { headers = {}, body = "" } = options.answer ?? {};
        const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
        const length = `Content-Length: ${Buffer.byteLength(body)}`;
        const status = `HTTP/1.1 ${options.refuseUpgrade} No`;
        socket.end(`${status}\r\n${lines.join("")}${length}\r\n\r\n${body}`);
      }
    });
  }

  async function end() {
    over = true;
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => io.close(resolve));
  }

  http.listen(options.port ?? 0, "127.0.0.1", () => say({ on: "listening", port: http.address().port }));
  return { perform, end };
}

let server;
createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const command = JSON.parse(line);
    if (command.do === "begin") {
      server = await begin(command.options);
    } else if (command.do === "end") {
      await server.end();
      process.stdout.write(JSON.stringify({ on: "ended" }) + "\n");
    } else {
      server.perform(command);
    }
  })
  .on("close", () => process.exit(0));
