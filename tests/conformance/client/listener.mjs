// The vendor's own example, made to report: one line of JSON for everything that happens.
// Argument: the URL with its namespace. OPTIONS in the environment: socket.io-client's, as JSON;
// they hold tokens, which a process listing would show.
import { io } from "socket.io-client";

const [url] = process.argv.slice(2);
const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");
const socket = io(url, JSON.parse(process.env.OPTIONS));

socket.on("connect", () =>
  say({
    on: "connect",
    transport: socket.io.engine.transport.name,
    recovered: Boolean(socket.recovered),
    id: socket.id,
  }),
);
socket.io.engine.on("upgrade", (transport) => say({ on: "upgrade", transport: transport.name }));
socket.on("connect_error", (error) => say({ on: "connect_error", message: error.message }));
socket.on("disconnect", (reason) => say({ on: "disconnect", reason }));
socket.onAny((event, ...args) => say({ on: "event", event, args }));

// The parent ends us by closing our standard input.
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
